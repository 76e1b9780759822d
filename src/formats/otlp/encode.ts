// Encodes the values of span.ts as an ExportTraceServiceRequest.
import { ProtobufWriter } from '../../wire/protobuf-writer.ts';
import type { AnyValue, KeyValue, ResourceSpans, ScopeSpans, Span, SpanEvent, SpanLink } from './span.ts';

/** Encodes a request; default values are left out, as proto3 does. The opposite of `decodeRequest`. */
export function encodeRequest(request: readonly ResourceSpans[]): Uint8Array {
  const writer = new ProtobufWriter();
  for (const resourceSpans of request) {
    message(writer, 1, () => {
      message(writer, 1, () => encodeAttributes(writer, 1, resourceSpans.resource));
      for (const scopeSpans of resourceSpans.scopeSpans) message(writer, 2, () => encodeScopeSpans(writer, scopeSpans));
      string(writer, 3, resourceSpans.schemaUrl);
    });
  }
  return writer.take();
}

function encodeScopeSpans(writer: ProtobufWriter, { scope, spans, schemaUrl }: ScopeSpans): void {
  if (scope.name !== '' || scope.version !== '' || scope.attributes.length > 0) {
    message(writer, 1, () => {
      string(writer, 1, scope.name);
      string(writer, 2, scope.version);
      encodeAttributes(writer, 3, scope.attributes);
    });
  }
  for (const span of spans) message(writer, 2, () => encodeSpan(writer, span));
  string(writer, 3, schemaUrl);
}

function encodeSpan(writer: ProtobufWriter, span: Span): void {
  id(writer, 1, span.traceId);
  id(writer, 2, span.spanId);
  string(writer, 3, span.traceState);
  id(writer, 4, span.parentSpanId);
  string(writer, 5, span.name);
  count(writer, 6, span.kind);
  time(writer, 7, span.startTimeUnixNano);
  time(writer, 8, span.endTimeUnixNano);
  encodeAttributes(writer, 9, span.attributes);
  count(writer, 10, span.droppedAttributesCount);
  for (const event of span.events) message(writer, 11, () => encodeEvent(writer, event));
  count(writer, 12, span.droppedEventsCount);
  for (const link of span.links) message(writer, 13, () => encodeLink(writer, link));
  count(writer, 14, span.droppedLinksCount);
  if (span.statusCode !== 0 || span.statusMessage !== '') {
    message(writer, 15, () => {
      string(writer, 2, span.statusMessage);
      count(writer, 3, span.statusCode);
    });
  }
  if (span.flags !== 0) writer.fixed32(16, span.flags);
}

function encodeEvent(writer: ProtobufWriter, event: SpanEvent): void {
  time(writer, 1, event.timeUnixNano);
  string(writer, 2, event.name);
  encodeAttributes(writer, 3, event.attributes);
  count(writer, 4, event.droppedAttributesCount);
}

function encodeLink(writer: ProtobufWriter, link: SpanLink): void {
  id(writer, 1, link.traceId);
  id(writer, 2, link.spanId);
  string(writer, 3, link.traceState);
  encodeAttributes(writer, 4, link.attributes);
  count(writer, 5, link.droppedAttributesCount);
  if (link.flags !== 0) writer.fixed32(6, link.flags);
}

function encodeAttributes(writer: ProtobufWriter, field: number, attributes: readonly KeyValue[]): void {
  for (const attribute of attributes) message(writer, field, () => encodeAttribute(writer, attribute));
}

function encodeAttribute(writer: ProtobufWriter, { key, value }: KeyValue): void {
  string(writer, 1, key);
  message(writer, 2, () => encodeValue(writer, value));
}

/** A member of a oneof is written even when it is the default: without it the value would be empty. */
function encodeValue(writer: ProtobufWriter, value: AnyValue): void {
  switch (value.kind) {
    case 'empty':
      return;
    case 'string':
      writer.string(1, value.value);
      return;
    case 'bool':
      writer.varint(2, value.value ? 1 : 0);
      return;
    case 'int':
      writer.varint64(3, value.value);
      return;
    case 'double':
      writer.double(4, value.value);
      return;
    case 'array':
      message(writer, 5, () => {
        for (const item of value.values) message(writer, 1, () => encodeValue(writer, item));
      });
      return;
    case 'kvlist':
      message(writer, 6, () => encodeAttributes(writer, 1, value.values));
      return;
    case 'bytes':
      writer.bytes(7, value.value);
  }
}

function message(writer: ProtobufWriter, field: number, write: () => void): void {
  const mark = writer.begin(field);
  write();
  writer.finish(mark);
}

function string(writer: ProtobufWriter, field: number, value: string): void {
  if (value !== '') writer.string(field, value);
}

function id(writer: ProtobufWriter, field: number, hex: string): void {
  if (hex !== '') writer.bytes(field, Buffer.from(hex, 'hex'));
}

function count(writer: ProtobufWriter, field: number, value: number): void {
  if (value !== 0) writer.varint(field, value);
}

function time(writer: ProtobufWriter, field: number, value: bigint): void {
  if (value !== 0n) writer.fixed64(field, value);
}
