// Encoded OTLP requests for the store's tests, from only what a test cares about.
import { encodeRequest } from '../../src/formats/otlp/encode.ts';
import type { AnyValue, KeyValue, Span } from '../../src/formats/otlp/span.ts';

export const nowUs = Date.now() * 1000;

export const traceA = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
export const traceB = 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb';

export interface SpanFields extends Partial<Omit<Span, 'startTimeUnixNano' | 'endTimeUnixNano' | 'attributes'>> {
  /** Microseconds after `nowUs`. */
  readonly atUs?: number;
  readonly durationUs?: number;
  readonly tags?: Readonly<Record<string, string | number | boolean>>;
}

export function attribute(key: string, value: string | number | boolean | AnyValue): KeyValue {
  if (typeof value === 'object') return { key, value };
  if (typeof value === 'string') return { key, value: { kind: 'string', value } };
  if (typeof value === 'boolean') return { key, value: { kind: 'bool', value } };
  return { key, value: Number.isInteger(value) ? { kind: 'int', value: BigInt(value) } : { kind: 'double', value } };
}

export function attributes(tags: Readonly<Record<string, string | number | boolean | AnyValue>>): KeyValue[] {
  return Object.entries(tags).map(([key, value]) => attribute(key, value));
}

export function makeSpan({ atUs = 0, durationUs = 1000, tags = {}, ...fields }: SpanFields): Span {
  const startTimeUnixNano = BigInt(nowUs + atUs) * 1000n;
  return {
    traceId: traceA,
    spanId: '1111111111111111',
    parentSpanId: '',
    traceState: '',
    flags: 0,
    name: 'work',
    kind: 1,
    startTimeUnixNano,
    endTimeUnixNano: startTimeUnixNano + BigInt(durationUs) * 1000n,
    attributes: attributes(tags),
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    links: [],
    droppedLinksCount: 0,
    statusCode: 0,
    statusMessage: '',
    ...fields,
  };
}

/** One encoded request with spans of one service. */
export function request(service: string, ...spans: readonly SpanFields[]): Uint8Array {
  return encodeRequest([
    {
      resource: [attribute('service.name', service), attribute('host.name', 'node-1')],
      schemaUrl: '',
      scopeSpans: [
        { scope: { name: 'lib', version: '1.2', attributes: [] }, schemaUrl: '', spans: spans.map(makeSpan) },
      ],
    },
  ]);
}
