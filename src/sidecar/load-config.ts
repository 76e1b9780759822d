// Builds the sidecar's configuration from flags, environment and file; flags beat environment, environment beats file.
import { parseAddress } from '../runtime/address.ts';
import { UsageError } from '../runtime/usage-error.ts';
import { Format, type FormatName } from '../trace/context.ts';
import { parseCustomTag } from '../trace/custom-tags.ts';
import { captureAddresses } from './capture/addresses.ts';
import type { CaptureConfig, ExportConfig, ListenTarget, Origin, SidecarConfig } from './config.ts';
import type { FlagValues } from './options.ts';
import { type Environment, parsePercent, readConfigFile, Settings } from './settings.ts';

export interface LoadedConfig {
  readonly config: SidecarConfig;
  readonly origins: ReadonlyMap<string, Origin>;
}

/**
 * Loads and checks everything.
 * @param defaults of the program that loads, instead of the option table's
 * @throws UsageError on the first thing that is wrong, naming the flag, variable or file and key
 */
export function loadConfig(flags: FlagValues, environment: Environment, defaults: FlagValues = {}): LoadedConfig {
  const settings = new Settings(flags, environment, readConfigFile(flags.config), defaults);
  const capture = captureConfig(settings);
  const inbound = settings.list('inbound').map((text) => parsePair(text, settings.where('inbound')));
  const outbound = settings.list('outbound').map((text) => parsePair(text, settings.where('outbound')));
  const proxyText = settings.text('outbound-proxy');
  const outboundProxy = proxyText === '' ? undefined : parseAddress(proxyText, settings.where('outbound-proxy'));
  if (inbound.length + outbound.length === 0 && outboundProxy === undefined && capture === undefined) {
    throw new UsageError(
      'nothing to listen on: give at least one --inbound LISTEN=TARGET, --outbound LISTEN=TARGET or --outbound-proxy LISTEN, or --capture redirect|tproxy',
    );
  }
  const config: SidecarConfig = {
    capture,
    inbound,
    outbound,
    outboundProxy,
    service: settings.text('service') || 'unknown_service:tracecar',
    resource: new Map(settings.list('resource').map((text) => parseKeyValue(text, settings.where('resource')))),
    exporter: exportConfig(settings, environment),
    sampling: {
      clientPercent: settings.percent('sampling-client'),
      randomPercent: randomPercent(settings, environment),
      overallPercent: settings.percent('sampling-overall'),
    },
    propagators: propagators(settings),
    requestId: settings.choice('request-id', ['generate', 'keep', 'off']),
    maxAddedHeadBytes: settings.integer('max-added-head', 0, 1 << 20),
    connectTimeoutMs: settings.durationMs('connect-timeout'),
    drainTimeoutMs: settings.durationMs('drain-timeout'),
    drainQuietMs: settings.durationMs('drain-quiet'),
    headTimeoutMs: settings.durationMs('head-timeout'),
    idleTimeoutMs: settings.durationMs('idle-timeout'),
    heartbeatIntervalMs: settings.durationMs('heartbeat-interval'),
    maxConnections: settings.integer('max-connections', 0, 10_000_000),
    maxHeadBytes: settings.integer('max-head-bytes', 1024, 1 << 20),
    maxSpansPerSecond: settings.integer('max-spans-per-second', 0, 10_000_000),
    strict: settings.flag('strict'),
    customTags: settings.list('tag').map((text) => {
      const tag = parseCustomTag(text);
      if (typeof tag === 'string') throw new UsageError(`${settings.where('tag')}: ${tag}`);
      return tag;
    }),
    maxPathTagLength: settings.integer('max-path-tag-length', 1, 65536),
    allowedQueryParameters: settings.list('allow-query'),
    spanAttributes: settings.choice('span-attributes', ['envoy', 'semconv', 'both']),
    admin: parseAddress(settings.text('admin'), settings.where('admin')),
    workers: settings.integer('concurrency', 1, 64),
  };
  return { config, origins: settings.origins };
}

/** Refuses flags that only mean something with capture, rather than let them be ignored. */
function captureConfig(settings: Settings): CaptureConfig | undefined {
  const mode = settings.choice('capture', ['none', 'redirect', 'tproxy']);
  const iptables = settings.choice('iptables', ['tracecar', 'istio']);
  const inboundPort = settings.integer('inbound-capture-port', 0, 65535);
  const outboundPort = settings.integer('outbound-capture-port', 0, 65535);
  if (mode !== 'none') return { mode, iptables, ...captureAddresses(inboundPort, outboundPort) };
  for (const name of ['iptables', 'inbound-capture-port', 'outbound-capture-port'] as const) {
    if (settings.origins.has(name)) {
      throw new UsageError(`${settings.where(name)}: means nothing without --capture redirect or --capture tproxy`);
    }
  }
  return undefined;
}

function parsePair(text: string, where: string): ListenTarget {
  const equals = text.indexOf('=');
  if (equals < 0) throw new UsageError(`${where}: "${text}" is not LISTEN=TARGET, for example 15006=127.0.0.1:8080`);
  const target = parseAddress(text.slice(equals + 1), where);
  if (target.port === 0) throw new UsageError(`${where}: "${text}": the target needs a port`);
  return { listen: parseAddress(text.slice(0, equals), where), target };
}

/** `k=v`, percent-decoded as OTEL_RESOURCE_ATTRIBUTES prescribes. */
function parseKeyValue(text: string, where: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new UsageError(`${where}: "${text}" is not key=value`);
  try {
    return [text.slice(0, equals).trim(), decodeURIComponent(text.slice(equals + 1).trim())];
  } catch {
    throw new UsageError(`${where}: "${text}" is not percent-encoded as it should be`);
  }
}

/** `--sampling-random`, else what OTEL_TRACES_SAMPLER says of roots (parent-based or not: parents always count, R16). */
function randomPercent(settings: Settings, environment: Environment): number {
  const sampler = environment.OTEL_TRACES_SAMPLER ?? '';
  const percent = settings.percent('sampling-random');
  if (settings.origins.get('sampling-random') === 'flag' || sampler === '') return percent;
  settings.origins.set('sampling-random', 'environment');
  switch (sampler.replace(/^parentbased_/, '')) {
    case 'always_on':
      return 100;
    case 'always_off':
      return 0;
    case 'traceidratio':
      return parsePercent(environment.OTEL_TRACES_SAMPLER_ARG ?? '1', 'OTEL_TRACES_SAMPLER_ARG', 1);
    default:
      throw new UsageError(
        `OTEL_TRACES_SAMPLER: "${sampler}" is not known; use always_on, always_off or traceidratio, parentbased_ or not`,
      );
  }
}

function propagators(settings: Settings): readonly FormatName[] {
  const chosen: FormatName[] = [];
  for (const name of settings.list('propagators')) {
    // Baggage passes as the header it is; there is nothing to write.
    if (name === 'baggage' || name === 'none') continue;
    if (!isFormatName(name)) {
      throw new UsageError(
        `${settings.where('propagators')}: "${name}" is not one of ${Object.keys(Format).join(', ')}, baggage, none`,
      );
    }
    chosen.push(name);
  }
  return chosen;
}

function isFormatName(name: string): name is FormatName {
  return name in Format;
}

function exportConfig(settings: Settings, environment: Environment): ExportConfig {
  const endpoint = settings.text('otlp-endpoint');
  const tracesEndpoint =
    settings.origins.get('otlp-endpoint') === 'flag' ? '' : (environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? '');
  for (const url of [endpoint, tracesEndpoint]) {
    if (url !== '' && !/^https?:\/\/[^/\s]+/.test(url)) {
      throw new UsageError(`${settings.where('otlp-endpoint')}: "${url}" is not an http:// or https:// URL`);
    }
  }
  return {
    endpoint,
    tracesEndpoint,
    protocol: settings.choice('otlp-protocol', ['grpc', 'http/protobuf']),
    headers: Object.fromEntries(
      settings.list('otlp-headers').map((text) => {
        const [key, value] = parseKeyValue(text, settings.where('otlp-headers'));
        return [key.toLowerCase(), value];
      }),
    ),
    timeoutMs: settings.integer('otlp-timeout', 1, 3_600_000),
    compression: settings.choice('otlp-compression', ['none', 'gzip']),
    certificate: settings.text('otlp-certificate'),
    clientCertificate: settings.text('otlp-client-certificate'),
    clientKey: settings.text('otlp-client-key'),
    maxQueueSize: settings.integer('max-queue-size', 1, 10_000_000),
    maxExportBatchSize: settings.integer('max-export-batch-size', 1, 100_000),
    scheduleDelayMs: settings.integer('schedule-delay', 1, 3_600_000),
  };
}
