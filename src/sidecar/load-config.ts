// Builds the sidecar's configuration from flags, environment and file; flags beat environment, environment beats file.
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { parseAddress } from '../runtime/address.ts';
import { parseDurationMs } from '../runtime/duration.ts';
import { errorMessage, UsageError } from '../runtime/usage-error.ts';
import { Format, type FormatName } from '../trace/context.ts';
import { parseCustomTag } from '../trace/custom-tags.ts';
import type { ExportConfig, ListenTarget, Origin, SidecarConfig } from './config.ts';
import { type OptionName, options } from './options.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Flag values as text, by long name without dashes; repeatable flags are arrays. */
export type FlagValues = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface LoadedConfig {
  readonly config: SidecarConfig;
  readonly origins: ReadonlyMap<string, Origin>;
}

/**
 * Loads and checks everything.
 * @throws UsageError on the first thing that is wrong, naming the flag, variable or file and key
 */
export function loadConfig(flags: FlagValues, environment: Environment): LoadedConfig {
  const settings = new Settings(flags, environment, readFile(flags.config));
  const capture = settings.text('capture');
  if (capture !== 'none')
    throw new UsageError(
      `${settings.where('capture')}: "${capture}": this version captures by listen/target pairs only; use none`,
    );
  const inbound = settings.list('inbound').map((text) => parsePair(text, settings.where('inbound')));
  const outbound = settings.list('outbound').map((text) => parsePair(text, settings.where('outbound')));
  if (inbound.length + outbound.length === 0) {
    throw new UsageError('nothing to listen on: give at least one --inbound LISTEN=TARGET or --outbound LISTEN=TARGET');
  }
  const config: SidecarConfig = {
    inbound,
    outbound,
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
    customTags: settings.list('tag').map((text) => {
      const tag = parseCustomTag(text);
      if (typeof tag === 'string') throw new UsageError(`${settings.where('tag')}: ${tag}`);
      return tag;
    }),
    maxPathTagLength: settings.integer('max-path-tag-length', 1, 65536),
    allowedQueryParameters: settings.list('allow-query'),
    spanAttributes: settings.choice('span-attributes', ['envoy', 'semconv', 'both']),
    admin: parseAddress(settings.text('admin'), settings.where('admin')),
  };
  return { config, origins: settings.origins };
}

/** One value of each option, with where it came from. */
class Settings {
  readonly origins = new Map<string, Origin>();
  readonly #flags: FlagValues;
  readonly #environment: Environment;
  readonly #file: Readonly<Record<string, unknown>>;
  readonly #fileName: string;

  constructor(flags: FlagValues, environment: Environment, file: Readonly<Record<string, unknown>>) {
    this.#flags = flags;
    this.#environment = environment;
    this.#file = file;
    this.#fileName = String(flags.config ?? '');
  }

  /** The place an error should name. */
  where(name: OptionName): string {
    const origin = this.origins.get(name);
    if (origin === 'environment') return options[name].environment ?? `--${name}`;
    return origin === 'file' ? `${this.#fileName}: ${name}` : `--${name}`;
  }

  text(name: OptionName): string {
    const value = this.#raw(name);
    return Array.isArray(value) ? value.join(',') : String(value);
  }

  list(name: OptionName): readonly string[] {
    const value = this.#raw(name);
    if (Array.isArray(value)) return value.map(String);
    return value === ''
      ? []
      : String(value)
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '');
  }

  choice<T extends string>(name: OptionName, allowed: readonly T[]): T {
    const value = this.text(name);
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined)
      throw new UsageError(`${this.where(name)}: "${value}" is not one of ${allowed.join(', ')}`);
    return found;
  }

  integer(name: OptionName, min: number, max: number): number {
    const value = this.text(name);
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) {
      throw new UsageError(`${this.where(name)}: "${value}" is not a whole number from ${min} to ${max}`);
    }
    return number;
  }

  percent(name: OptionName): number {
    return parsePercent(this.text(name), this.where(name), 100);
  }

  durationMs(name: OptionName): number {
    return parseDurationMs(this.text(name), this.where(name));
  }

  #raw(name: OptionName): unknown {
    const flag = this.#flags[name];
    if (flag !== undefined && flag.length > 0) return this.#from(name, 'flag', flag);
    const variable = options[name].environment;
    const fromEnvironment = variable === undefined ? undefined : this.#environment[variable];
    if (fromEnvironment !== undefined && fromEnvironment !== '')
      return this.#from(name, 'environment', fromEnvironment);
    const fromFile = this.#file[name];
    if (fromFile !== undefined && fromFile !== null) return this.#from(name, 'file', fromFile);
    return options[name].fallback;
  }

  #from(name: OptionName, origin: Origin, value: unknown): unknown {
    this.origins.set(name, origin);
    return value;
  }
}

function readFile(name: FlagValues[string]): Readonly<Record<string, unknown>> {
  if (name === undefined) return {};
  const file = String(name);
  let content: unknown;
  try {
    content = parseYaml(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new UsageError(`--config ${file}: ${errorMessage(error)}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(`--config ${file}: expected keys and values at the top level`);
  }
  for (const key of Object.keys(content)) {
    if (!(key in options)) {
      throw new UsageError(`--config ${file}: unknown key "${key}"; the keys are ${Object.keys(options).join(', ')}`);
    }
  }
  return Object.fromEntries(Object.entries(content));
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

function parsePercent(text: string, where: string, scale: number): number {
  const value = Number(text) * (100 / scale);
  if (text.trim() === '' || !(value >= 0 && value <= 100)) {
    throw new UsageError(
      `${where}: "${text}" is not a ${scale === 100 ? 'percentage from 0 to 100' : 'share from 0 to 1'}`,
    );
  }
  return value;
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
