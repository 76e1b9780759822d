// A span at rest: its encoded bytes, and beside them the few fields that searches look at.
import { decodeRequest } from '../formats/otlp/decode.ts';
import { spanTag } from '../formats/otlp/fields.ts';
import type { KeyValue, Scope, Span, SpanKind } from '../formats/otlp/span.ts';
import { ProtobufReader } from '../wire/protobuf-reader.ts';
import { type Frame, type FramedSpans, joinRequest } from './request-slices.ts';

/** One received request: the memory that its spans and their frames are views of. */
export interface Chunk {
  readonly bytes: Uint8Array;
  /** How many of its spans are stored. */
  spans: number;
  groups: number;
}

/** What the spans of one ScopeSpans share. */
export interface SpanGroup extends Frame {
  readonly service: string;
  readonly chunk: Chunk;
}

export interface IndexedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startTimeUnixNano: bigint;
  readonly endTimeUnixNano: bigint;
  readonly group: SpanGroup;
  /** The content of the Span message. */
  readonly encoded: Uint8Array;
  /** Another span with the same ids and other content: the halves of a shared client and server span. */
  twin: IndexedSpan | undefined;
}

/** A span decoded, with what surrounds it. */
export interface DecodedSpan {
  readonly span: Span;
  readonly resource: readonly KeyValue[];
  readonly scope: Scope;
  readonly service: string;
}

/** What Jaeger calls a resource that has no service.name. */
export const missingServiceName = 'missing-service-name';

/** The service a frame belongs to. */
export function serviceOf(resource: readonly KeyValue[]): string {
  const name = resource.find((attribute) => attribute.key === 'service.name')?.value;
  return name?.kind === 'string' && name.value !== '' ? name.value : missingServiceName;
}

/** The service of the spans in one frame; of an encoded frame, only the resource is decoded. */
export function serviceOfFrame(frame: Frame): string {
  return serviceOf(decodeRequest(joinRequest([{ frame, spans: [] }]))[0]?.resource ?? []);
}

/**
 * Reads the fields that searches need; the rest stays encoded.
 * @throws ProtobufError when `encoded` is no Span message
 */
export function indexSpan(encoded: Uint8Array, group: SpanGroup): IndexedSpan {
  const reader = new ProtobufReader(encoded);
  const read = { traceId: '', spanId: '', name: '', kind: 0, start: 0n, end: 0n };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === spanTag.traceId) read.traceId = reader.hex();
    else if (tag === spanTag.spanId) read.spanId = reader.hex();
    else if (tag === spanTag.name) read.name = reader.string();
    else if (tag === spanTag.kind) read.kind = reader.uint32();
    else if (tag === spanTag.startTimeUnixNano) read.start = reader.fixed64();
    else if (tag === spanTag.endTimeUnixNano) read.end = reader.fixed64();
    else reader.skip(tag);
  }
  return {
    traceId: read.traceId,
    spanId: read.spanId,
    name: read.name,
    kind: read.kind <= 5 ? (read.kind as SpanKind) : 0,
    startTimeUnixNano: read.start,
    endTimeUnixNano: read.end,
    group,
    encoded,
    twin: undefined,
  };
}

/** Spans as one encoded request; neighbours of one group stay together. */
export function encodeSpans(spans: Iterable<IndexedSpan>): Uint8Array {
  const parts: (FramedSpans & { spans: Uint8Array[] })[] = [];
  for (const span of spans) {
    const last = parts.at(-1);
    if (last !== undefined && last.frame === span.group) last.spans.push(span.encoded);
    else parts.push({ frame: span.group, spans: [span.encoded] });
  }
  return joinRequest(parts);
}

/** Decodes spans, in their order. */
export function decodeSpans(spans: Iterable<IndexedSpan>): DecodedSpan[] {
  return decodeRequest(encodeSpans(spans)).flatMap(({ resource, scopeSpans }) => {
    const service = serviceOf(resource);
    return scopeSpans.flatMap(({ scope, spans }) => spans.map((span) => ({ span, resource, scope, service })));
  });
}

/** Nanoseconds from start to end; a span that ends before it starts lasts 0. */
export function durationNano(span: IndexedSpan | Span): bigint {
  return span.endTimeUnixNano > span.startTimeUnixNano ? span.endTimeUnixNano - span.startTimeUnixNano : 0n;
}
