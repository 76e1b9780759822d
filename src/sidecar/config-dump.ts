// The effective configuration with where each value came from, secrets masked: what /config_dump shows.
import { formatAddress } from '../runtime/address.ts';
import type { CaptureReport } from './capture/capture-status.ts';
import type { Origin, SidecarConfig } from './config.ts';

/** `LISTEN=TARGET` pairs with the ports really bound, and the forward proxy's address ('' without one). */
export interface BoundPairs {
  readonly inbound: readonly string[];
  readonly outbound: readonly string[];
  readonly outboundProxy?: string;
  /** Addresses where captured connections arrive. */
  readonly captured?: { readonly inbound: readonly string[]; readonly outbound: readonly string[] } | undefined;
  readonly captureReport?: CaptureReport | undefined;
}

export type ConfigDump = Readonly<Record<string, { readonly value: unknown; readonly origin: Origin | 'probe' }>>;

/** Header names whose values are shown; any other may be a credential. */
const openHeaders = new Set(['content-type', 'user-agent']);

/**
 * The dump of a configuration.
 * @param origins by the flag's long name; what is missing there came by default
 */
export function dumpConfig(config: SidecarConfig, origins: ReadonlyMap<string, Origin>, bound: BoundPairs): ConfigDump {
  const { capture, exporter, sampling } = config;
  const values: Readonly<Record<string, unknown>> = {
    capture: capture?.mode ?? 'none',
    iptables: capture?.iptables ?? null,
    'inbound-capture-port': bound.captured?.inbound ?? null,
    'outbound-capture-port': bound.captured?.outbound ?? null,
    inbound: bound.inbound,
    outbound: bound.outbound,
    'outbound-proxy': bound.outboundProxy || null,
    service: config.service,
    resource: Object.fromEntries(config.resource),
    'otlp-endpoint': maskUserinfo(exporter.tracesEndpoint || exporter.endpoint),
    'otlp-protocol': exporter.protocol,
    'otlp-headers': Object.fromEntries(
      Object.entries(exporter.headers).map(([name, value]) => [name, openHeaders.has(name) ? value : '***']),
    ),
    'otlp-timeout': `${exporter.timeoutMs}ms`,
    'otlp-compression': exporter.compression,
    'max-queue-size': exporter.maxQueueSize,
    'max-export-batch-size': exporter.maxExportBatchSize,
    'schedule-delay': `${exporter.scheduleDelayMs}ms`,
    'sampling-client': sampling.clientPercent,
    'sampling-random': sampling.randomPercent,
    'sampling-overall': sampling.overallPercent,
    propagators: config.propagators,
    'request-id': config.requestId,
    'max-added-head': config.maxAddedHeadBytes,
    'connect-timeout': `${config.connectTimeoutMs}ms`,
    'drain-timeout': `${config.drainTimeoutMs}ms`,
    'drain-quiet': `${config.drainQuietMs}ms`,
    'head-timeout': `${config.headTimeoutMs}ms`,
    'idle-timeout': `${config.idleTimeoutMs}ms`,
    'heartbeat-interval': `${config.heartbeatIntervalMs}ms`,
    'max-connections': config.maxConnections,
    'max-head-bytes': config.maxHeadBytes,
    'max-spans-per-second': config.maxSpansPerSecond,
    strict: config.strict,
    tag: config.customTags,
    'max-path-tag-length': config.maxPathTagLength,
    'allow-query': config.allowedQueryParameters,
    'span-attributes': config.spanAttributes,
    admin: formatAddress(config.admin),
    concurrency: config.workers,
  };
  return {
    ...Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, { value, origin: origins.get(key) ?? 'default' }]),
    ),
    ...(bound.captureReport && { captured: { value: bound.captureReport, origin: 'probe' } }),
  };
}

function maskUserinfo(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//***@');
}
