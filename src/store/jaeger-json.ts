// A trace as Jaeger's UI JSON: the field names, tags and references of Jaeger's query service (/api/traces).
import type { AnyValue, KeyValue, Span } from '../formats/otlp/span.ts';
import { type DecodedSpan, durationNano } from './indexed-span.ts';

export type TagType = 'string' | 'bool' | 'int64' | 'float64' | 'binary';

export interface Tag {
  readonly key: string;
  readonly type: TagType;
  /** An int64 beyond 2^53 is a string of digits, binary is base64. */
  readonly value: string | number | boolean;
}

export interface Reference {
  readonly refType: 'CHILD_OF' | 'FOLLOWS_FROM';
  readonly traceID: string;
  readonly spanID: string;
}

export interface JaegerLog {
  /** Microseconds since 1970. */
  readonly timestamp: number;
  readonly fields: readonly Tag[];
}

export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly Reference[];
  /** Microseconds since 1970. */
  readonly startTime: number;
  /** Microseconds. */
  readonly duration: number;
  readonly tags: readonly Tag[];
  readonly logs: readonly JaegerLog[];
  readonly processID: string;
  readonly warnings: readonly string[] | null;
}

export interface JaegerProcess {
  readonly serviceName: string;
  readonly tags: readonly Tag[];
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, JaegerProcess>>;
  readonly warnings: null;
}

const kindNames = ['', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

/** `span.kind` as Jaeger writes it; '' for UNSPECIFIED. */
export function kindName(kind: Span['kind']): string {
  return kindNames[kind];
}

/** A trace id as Jaeger prints it: 16 characters when the upper half is zero. */
export function shortTraceId(traceId: string): string {
  return traceId.startsWith('0000000000000000') ? traceId.slice(16) : traceId;
}

/** The UI JSON of one trace: spans by start time, processes numbered as they first appear. */
export function toJaegerTrace(traceId: string, decoded: readonly DecodedSpan[]): JaegerTrace {
  const ordered = [...decoded].sort((a, b) => compareBig(a.span.startTimeUnixNano, b.span.startTimeUnixNano));
  const ids = new Set(ordered.map(({ span }) => span.spanId));
  const processes: Record<string, JaegerProcess> = {};
  const processIds = new Map<string, string>();
  const seen = new Set<string>();
  const spans = ordered.map((each) => {
    const process = { serviceName: each.service, tags: processTags(each.resource) };
    const content = JSON.stringify(process);
    const processID = processIds.get(content) ?? `p${processIds.size + 1}`;
    processIds.set(content, processID);
    processes[processID] = process;
    const warnings = warningsOf(each.span, ids, seen.has(each.span.spanId));
    seen.add(each.span.spanId);
    return toJaegerSpan(each, processID, warnings);
  });
  return { traceID: shortTraceId(traceId), spans, processes, warnings: null };
}

/** The tags of one span, those Jaeger derives from other fields among them; sorted by key, type and value. */
export function spanTags({ span, scope }: DecodedSpan): Tag[] {
  const derived: Tag[] = [];
  const add = (key: string, value: string) => {
    if (value !== '') derived.push({ key, type: 'string', value });
  };
  add('otel.scope.name', scope.name);
  add('otel.scope.version', scope.version);
  add('span.kind', kindName(span.kind));
  add('otel.status_code', ['', 'OK', 'ERROR'][span.statusCode]!);
  if (span.statusCode === 2) derived.push({ key: 'error', type: 'bool', value: true });
  add('otel.status_description', span.statusMessage);
  add('w3c.tracestate', span.traceState);
  return [...span.attributes.map(toTag), ...derived].sort(compareTags);
}

/** The tags of a resource: all its attributes but service.name. */
export function processTags(resource: readonly KeyValue[]): Tag[] {
  return resource
    .filter((attribute) => attribute.key !== 'service.name')
    .map(toTag)
    .sort(compareTags);
}

/** A span's events as logs: the event's name is the field `event`, unless an attribute has that key. */
export function spanLogs(span: Span): JaegerLog[] {
  return span.events.map((event) => {
    const fields = event.attributes.map(toTag).sort(compareTags);
    const named = event.name !== '' && !fields.some((field) => field.key === 'event');
    if (named) fields.unshift({ key: 'event', type: 'string', value: event.name });
    return { timestamp: micros(event.timeUnixNano), fields };
  });
}

function toJaegerSpan(decoded: DecodedSpan, processID: string, warnings: string[]): JaegerSpan {
  const { span } = decoded;
  return {
    traceID: shortTraceId(span.traceId),
    spanID: span.spanId,
    operationName: span.name,
    references: referencesOf(span),
    startTime: micros(span.startTimeUnixNano),
    duration: Number(durationNano(span) / 1000n),
    tags: spanTags(decoded),
    logs: spanLogs(span),
    processID,
    warnings: warnings.length > 0 ? warnings : null,
  };
}

/** Parent first. Jaeger shows a parent that is also linked only once, as FOLLOWS_FROM. */
function referencesOf(span: Span): Reference[] {
  const links = span.links.map((link) => ({
    refType: 'FOLLOWS_FROM' as const,
    traceID: shortTraceId(link.traceId),
    spanID: link.spanId,
  }));
  const traceID = shortTraceId(span.traceId);
  const isLinked = links.some((link) => link.spanID === span.parentSpanId && link.traceID === traceID);
  if (span.parentSpanId === '' || isLinked) return links;
  return [{ refType: 'CHILD_OF', traceID, spanID: span.parentSpanId }, ...links];
}

function warningsOf(span: Span, ids: ReadonlySet<string>, isRepeated: boolean): string[] {
  const warnings: string[] = [];
  if (span.endTimeUnixNano < span.startTimeUnixNano) {
    const lateByUs = (span.startTimeUnixNano - span.endTimeUnixNano) / 1000n;
    warnings.push(`Negative duration detected: the span ends ${lateByUs}µs before it starts; shown as 0`);
  }
  if (isRepeated) warnings.push('duplicate span IDs; skipping clock skew adjustment');
  else if (span.parentSpanId !== '' && !ids.has(span.parentSpanId)) {
    warnings.push(`invalid parent span IDs=${span.parentSpanId}; skipping clock skew adjustment`);
  }
  return warnings;
}

/** One attribute as a tag; arrays and maps become JSON text. */
export function toTag({ key, value }: KeyValue): Tag {
  switch (value.kind) {
    case 'string':
      return { key, type: 'string', value: value.value };
    case 'bool':
      return { key, type: 'bool', value: value.value };
    case 'int': {
      const number = Number(value.value);
      return { key, type: 'int64', value: Number.isSafeInteger(number) ? number : value.value.toString() };
    }
    case 'double':
      // JSON has no NaN and no infinities: OTLP's own JSON writes them as strings.
      return { key, type: 'float64', value: Number.isFinite(value.value) ? value.value : String(value.value) };
    case 'bytes':
      return { key, type: 'binary', value: base64(value.value) };
    case 'empty':
      return { key, type: 'string', value: '' };
    default:
      return { key, type: 'string', value: jsonText(value) };
  }
}

/** Nested values as JSON text the way Go writes it: keys sorted, `<`, `>` and `&` escaped, int64 in full. */
function jsonText(value: AnyValue): string {
  switch (value.kind) {
    case 'empty':
      return 'null';
    case 'int':
      return value.value.toString();
    case 'bytes':
      return quote(base64(value.value));
    case 'array':
      return `[${value.values.map(jsonText).join(',')}]`;
    case 'kvlist': {
      const entries = new Map(value.values.map((entry) => [entry.key, entry.value]));
      const sorted = [...entries].sort(([a], [b]) => compareText(a, b));
      return `{${sorted.map(([key, entry]) => `${quote(key)}:${jsonText(entry)}`).join(',')}}`;
    }
    case 'double':
      return Number.isFinite(value.value) ? String(value.value) : quote(String(value.value));
    case 'bool':
      return String(value.value);
    case 'string':
      return quote(value.value);
  }
}

function quote(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

const typeOrder: readonly TagType[] = ['string', 'bool', 'int64', 'float64', 'binary'];

function compareTags(a: Tag, b: Tag): number {
  return (
    compareText(a.key, b.key) ||
    typeOrder.indexOf(a.type) - typeOrder.indexOf(b.type) ||
    compareText(String(a.value), String(b.value))
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareBig(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function micros(unixNano: bigint): number {
  return Number(unixNano / 1000n);
}
