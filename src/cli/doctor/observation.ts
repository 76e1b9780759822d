// What the doctor reads of each process before and after its request: metrics, settings, connections.
import { fetchJson, fetchText } from '../demo/fetch-text.ts';
import { type MetricSample, parseMetrics, sumOf } from '../demo/metrics-text.ts';
import { type ObservedCapture, type ObservedConnection, toCapture, toConnections } from './capture/observed.ts';

export interface SidecarObservation {
  readonly admin: string;
  readonly ready: boolean;
  /** Why it could not be read, '' when it could. */
  readonly unreachable: string;
  readonly service: string;
  /** `LISTEN=TARGET` pairs. */
  readonly inbound: readonly string[];
  readonly outbound: readonly string[];
  /** Where its forward proxy listens, '' when there is none. */
  readonly outboundProxy: string;
  /** Capture by rules; undefined when there is none. */
  readonly capture: ObservedCapture | undefined;
  readonly connections: readonly ObservedConnection[];
  readonly otlpEndpoint: string;
  readonly sampling: { readonly client: number; readonly random: number; readonly overall: number };
  readonly forwarding: Forwarding | undefined;
  /** The last failure of the span exporter, '' when there is none. */
  readonly lastFailure: string;
  readonly samples: readonly MetricSample[];
}

/** The sidecar's verdict on its application. */
export interface Forwarding {
  readonly verdict: string;
  readonly calls: number;
  readonly forwarded: number;
  readonly headers: Readonly<Record<string, number>>;
}

export interface CollectorObservation {
  readonly metrics: string;
  readonly unreachable: string;
  readonly samples: readonly MetricSample[];
}

/** Reads a sidecar's admin pages (`host:port`); never rejects. */
export async function observeSidecar(admin: string): Promise<SidecarObservation> {
  try {
    const [ready, metrics, dump, connections] = await Promise.all([
      fetchText(`http://${admin}/ready`),
      fetchText(`http://${admin}/stats/prometheus`),
      fetchJson(`http://${admin}/config_dump`),
      fetchJson(`http://${admin}/connections`),
    ]);
    if (member(dump, 'service') === undefined) return absent(admin, 'what answers there is no sidecar');
    return {
      admin,
      ready: ready.status === 200,
      unreachable: '',
      service: String(setting(dump, 'service') ?? ''),
      inbound: strings(setting(dump, 'inbound')),
      outbound: strings(setting(dump, 'outbound')),
      outboundProxy: String(setting(dump, 'outbound-proxy') ?? ''),
      capture: toCapture((key) => setting(dump, key), ready.body),
      connections: toConnections(connections),
      otlpEndpoint: String(setting(dump, 'otlp-endpoint') ?? ''),
      sampling: {
        client: Number(setting(dump, 'sampling-client') ?? 100),
        random: Number(setting(dump, 'sampling-random') ?? 100),
        overall: Number(setting(dump, 'sampling-overall') ?? 100),
      },
      forwarding: toForwarding(member(connections, 'forwards_headers')),
      lastFailure: String(member(member(connections, 'span_delivery'), 'last_failure') ?? ''),
      samples: parseMetrics(metrics.body),
    };
  } catch (error) {
    return absent(admin, failureText(error));
  }
}

function absent(admin: string, unreachable: string): SidecarObservation {
  const nothing = { client: 100, random: 100, overall: 100 };
  return {
    ...{ admin, ready: false, unreachable, service: admin, inbound: [], outbound: [], outboundProxy: '' },
    ...{ capture: undefined, connections: [], otlpEndpoint: '' },
    ...{ sampling: nothing, forwarding: undefined, lastFailure: '', samples: [] },
  };
}

/** Reads a collector's metrics page (`host:port`); never rejects. */
export async function observeCollector(metrics: string): Promise<CollectorObservation> {
  try {
    const page = await fetchText(`http://${metrics}/metrics`);
    const samples = parseMetrics(page.body);
    const known = samples.some((sample) => sample.name.startsWith('otelcol_'));
    return { metrics, unreachable: known ? '' : 'what answers there is no collector', samples };
  } catch (error) {
    return { metrics, unreachable: failureText(error), samples: [] };
  }
}

/** The names of a collector's exporters. */
export function exportersOf(collector: CollectorObservation): string[] {
  return [...new Set(collector.samples.flatMap((sample) => (sample.labels.exporter ? [sample.labels.exporter] : [])))];
}

/** How much a metric grew between two observations of the same process. */
export function growth(
  before: { readonly samples: readonly MetricSample[] },
  after: { readonly samples: readonly MetricSample[] },
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return sumOf(after.samples, name, labels) - sumOf(before.samples, name, labels);
}

/** Labels whose counter grew, as `label value` texts: the reasons of what went wrong meanwhile. */
export function grownLabels(
  before: { readonly samples: readonly MetricSample[] },
  after: { readonly samples: readonly MetricSample[] },
  name: string,
  label: string,
): string[] {
  const values = new Set(after.samples.filter((s) => s.name === name).map((s) => s.labels[label] ?? ''));
  return [...values].filter((value) => growth(before, after, name, { [label]: value }) > 0);
}

/** The cause of a failed fetch in the words of the system. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const cause = error.cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return code === 'ECONNREFUSED'
    ? 'connection refused'
    : code || (cause instanceof Error ? cause.message : error.message);
}

function setting(dump: unknown, key: string): unknown {
  return member(member(dump, key), 'value');
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function toForwarding(value: unknown): Forwarding | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const headers = member(value, 'headers');
  const counts = typeof headers === 'object' && headers !== null ? Object.entries(headers) : [];
  return {
    verdict: String(member(value, 'verdict')),
    calls: Number(member(value, 'calls') ?? 0),
    forwarded: Number(member(value, 'forwarded') ?? 0),
    headers: Object.fromEntries(counts.map(([name, count]) => [name, Number(count)])),
  };
}
