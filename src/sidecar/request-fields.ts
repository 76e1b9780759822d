// The request header fields the sidecar reads, and the look-up of their values in a scanned head.
import { FieldNames } from '../wire/http1/field-names.ts';
import { framingFields } from '../wire/http1/framing.ts';
import type { HeadScanner } from '../wire/http1/head-scanner.ts';

const names = [
  ...framingFields,
  'host',
  'user-agent',
  'x-request-id',
  'x-client-trace-id',
  'x-envoy-force-trace',
  'jaeger-debug-id',
  'x-envoy-downstream-service-cluster',
  'baggage',
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'uber-trace-id',
  'ot-tracer-traceid',
  'ot-tracer-spanid',
  'ot-tracer-sampled',
] as const;

const idOf = (name: (typeof names)[number]): number => names.indexOf(name);

/** Numbers of the fields, as the scanner reports them. */
export const Field = {
  host: idOf('host'),
  userAgent: idOf('user-agent'),
  requestId: idOf('x-request-id'),
  clientTraceId: idOf('x-client-trace-id'),
  envoyForceTrace: idOf('x-envoy-force-trace'),
  jaegerDebugId: idOf('jaeger-debug-id'),
  downstreamCluster: idOf('x-envoy-downstream-service-cluster'),
  baggage: idOf('baggage'),
  traceparent: idOf('traceparent'),
  tracestate: idOf('tracestate'),
  b3: idOf('b3'),
  b3TraceId: idOf('x-b3-traceid'),
  b3SpanId: idOf('x-b3-spanid'),
  b3ParentSpanId: idOf('x-b3-parentspanid'),
  b3Sampled: idOf('x-b3-sampled'),
  b3Flags: idOf('x-b3-flags'),
  uberTraceId: idOf('uber-trace-id'),
  otTracerTraceId: idOf('ot-tracer-traceid'),
  otTracerSpanId: idOf('ot-tracer-spanid'),
  otTracerSampled: idOf('ot-tracer-sampled'),
} as const;

/** Trace headers are those from `traceparent` on, in one run of numbers. */
export const firstTraceField = Field.traceparent;
export const lastTraceField = Field.otTracerSampled;

/** The table for request heads; custom header tags add names of their own. */
export function createRequestFieldNames(): FieldNames {
  return new FieldNames(names);
}

/** First values of the known fields of one head; reused from head to head. */
export class RequestFields {
  /** Index into the scanner's list by field number, -1 when absent. */
  readonly #at: Int16Array;
  #text = '';
  #scanned: HeadScanner | undefined;
  /** Bit (id - firstTraceField) is set for each trace header present. */
  tracePresent = 0;
  /** The same for trace headers that came more than once. */
  traceRepeated = 0;

  constructor(fieldNames: FieldNames) {
    this.#at = new Int16Array(fieldNames.size);
  }

  /** Reads the list of a scanned head whose latin1 text is `text`. */
  read(head: HeadScanner, text: string): void {
    this.#text = text;
    this.#scanned = head;
    this.#at.fill(-1);
    this.tracePresent = 0;
    this.traceRepeated = 0;
    for (let i = 0, at = 0; i < head.knownCount; i++, at += 5) {
      const id = head.fields[at]!;
      const known = this.#at[id]!;
      if (known < 0) this.#at[id] = at;
      if (id < firstTraceField || id > lastTraceField) continue;
      const bit = 1 << (id - firstTraceField);
      if (known >= 0) this.traceRepeated |= bit;
      this.tracePresent |= bit;
    }
  }

  has(id: number): boolean {
    return this.#at[id]! >= 0;
  }

  /** Whether a trace header came, in more than one line. */
  isRepeated(id: number): boolean {
    return (this.traceRepeated & (1 << (id - firstTraceField))) !== 0;
  }

  /** The first line's value, trimmed; undefined when absent. */
  value(id: number): string | undefined {
    const at = this.#at[id]!;
    if (at < 0) return undefined;
    const fields = this.#scanned!.fields;
    return this.#text.slice(fields[at + 2]!, fields[at + 3]!);
  }

  /** The values of all lines of a field, in order. */
  values(id: number): string[] {
    const head = this.#scanned!;
    const found: string[] = [];
    for (let i = 0, at = 0; i < head.knownCount; i++, at += 5) {
      if (head.fields[at] === id) found.push(this.#text.slice(head.fields[at + 2]!, head.fields[at + 3]!));
    }
    return found;
  }
}
