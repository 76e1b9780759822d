// Reads spans back from the store's Jaeger API into the flat form the demo checks and prints.
import { fetchJson } from './fetch-text.ts';

export interface StoredSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for a root. */
  readonly parentId: string;
  readonly service: string;
  readonly name: string;
  /** SERVER, CLIENT, ... or '' when the span says none. */
  readonly kind: string;
  readonly error: boolean;
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: Readonly<Record<string, string | number | boolean>>;
}

/** The spans of one trace as `GET /api/traces/{id}` of a Jaeger query API (`host:port`) tells them; [] when unknown. */
export async function readTrace(queryApi: string, traceId: string): Promise<StoredSpan[]> {
  return toSpans(await fetchJson(`http://${queryApi}/api/traces/${traceId}`));
}

/** The spans of the latest `limit` traces in which a service takes part. */
export async function readTracesOf(queryApi: string, service: string, limit: number): Promise<StoredSpan[]> {
  const query = new URLSearchParams({ service, limit: String(limit) });
  return toSpans(await fetchJson(`http://${queryApi}/api/traces?${query}`, 10_000));
}

function toSpans(page: unknown): StoredSpan[] {
  return records(field(page, 'data')).flatMap((trace) => {
    const processes = field(trace, 'processes');
    return records(field(trace, 'spans')).map((span) => toStoredSpan(span, processes));
  });
}

function toStoredSpan(span: unknown, processes: unknown): StoredSpan {
  const tags: Record<string, string | number | boolean> = {};
  for (const tag of records(field(span, 'tags'))) {
    const value = field(tag, 'value');
    tags[String(field(tag, 'key'))] =
      typeof value === 'number' || typeof value === 'boolean' ? value : String(value ?? '');
  }
  const parent = records(field(span, 'references')).find((reference) => field(reference, 'refType') === 'CHILD_OF');
  return {
    traceId: String(field(span, 'traceID')),
    spanId: String(field(span, 'spanID')),
    parentId: parent === undefined ? '' : String(field(parent, 'spanID')),
    service: String(field(field(processes, String(field(span, 'processID'))), 'serviceName') ?? ''),
    name: String(field(span, 'operationName') ?? ''),
    kind: String(tags['span.kind'] ?? '').toUpperCase(),
    error: tags['otel.status_code'] === 'ERROR',
    startUs: Number(field(span, 'startTime')),
    durationUs: Number(field(span, 'duration')),
    tags,
  };
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function records(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
