// Decodes an ExportTraceServiceRequest (or TracesData: the same bytes) into the values of span.ts.
import { ProtobufReader } from '../../wire/protobuf-reader.ts';
import { decodeAttribute } from './decode-value.ts';
import {
  eventTag,
  linkTag,
  requestTag,
  resourceSpansTag,
  resourceTag,
  scopeSpansTag,
  scopeTag,
  spanTag,
  statusTag,
} from './fields.ts';
import type { KeyValue, ResourceSpans, Scope, ScopeSpans, Span, SpanEvent, SpanKind, SpanLink } from './span.ts';

/**
 * Decodes a request. Unknown fields are passed over, an unknown kind or status code reads as 0, an all-zero parent id
 * as none. `instrumentation_library_spans` (field 1000) stands in where a resource has no scope_spans.
 * Ids are not checked: give it what `walk` accepted.
 * @throws ProtobufError when the bytes are no such message
 */
export function decodeRequest(bytes: Uint8Array): ResourceSpans[] {
  const reader = new ProtobufReader(bytes);
  const result: ResourceSpans[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === requestTag.resourceSpans) result.push(decodeResourceSpans(reader));
    else reader.skip(tag);
  }
  return result;
}

function decodeResourceSpans(reader: ProtobufReader): ResourceSpans {
  const outer = reader.enter();
  const resource: KeyValue[] = [];
  const scopeSpans: ScopeSpans[] = [];
  const librarySpans: ScopeSpans[] = [];
  let schemaUrl = '';
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === resourceSpansTag.resource) decodeResource(reader, resource);
    else if (tag === resourceSpansTag.scopeSpans) scopeSpans.push(decodeScopeSpans(reader));
    else if (tag === resourceSpansTag.schemaUrl) schemaUrl = reader.string();
    else if (tag === resourceSpansTag.instrumentationLibrarySpans) librarySpans.push(decodeScopeSpans(reader));
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { resource, schemaUrl, scopeSpans: scopeSpans.length > 0 ? scopeSpans : librarySpans };
}

function decodeResource(reader: ProtobufReader, attributes: KeyValue[]): void {
  const outer = reader.enter();
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === resourceTag.attributes) attributes.push(decodeAttribute(reader, 3));
    else reader.skip(tag);
  }
  reader.leave(outer);
}

function decodeScopeSpans(reader: ProtobufReader): ScopeSpans {
  const outer = reader.enter();
  const spans: Span[] = [];
  let scope: Scope = { name: '', version: '', attributes: [] };
  let schemaUrl = '';
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === scopeSpansTag.spans) spans.push(decodeSpan(reader));
    else if (tag === scopeSpansTag.scope) scope = decodeScope(reader);
    else if (tag === scopeSpansTag.schemaUrl) schemaUrl = reader.string();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { scope, schemaUrl, spans };
}

function decodeScope(reader: ProtobufReader): Scope {
  const outer = reader.enter();
  const attributes: KeyValue[] = [];
  let name = '';
  let version = '';
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === scopeTag.name) name = reader.string();
    else if (tag === scopeTag.version) version = reader.string();
    else if (tag === scopeTag.attributes) attributes.push(decodeAttribute(reader, 4));
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { name, version, attributes };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
interface SpanInProgress extends Writable<Span> {
  readonly attributes: KeyValue[];
  readonly events: SpanEvent[];
  readonly links: SpanLink[];
}

function emptySpan(): SpanInProgress {
  return {
    traceId: '',
    spanId: '',
    parentSpanId: '',
    traceState: '',
    flags: 0,
    name: '',
    kind: 0,
    startTimeUnixNano: 0n,
    endTimeUnixNano: 0n,
    attributes: [],
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    links: [],
    droppedLinksCount: 0,
    statusCode: 0,
    statusMessage: '',
  };
}

function decodeSpan(reader: ProtobufReader): Span {
  const outer = reader.enter();
  const span = emptySpan();
  while (!reader.done) decodeSpanField(reader, reader.tag(), span);
  reader.leave(outer);
  return span;
}

function decodeSpanField(reader: ProtobufReader, tag: number, span: SpanInProgress): void {
  switch (tag) {
    case spanTag.attributes:
      span.attributes.push(decodeAttribute(reader, 4));
      return;
    case spanTag.traceId:
      span.traceId = reader.hex();
      return;
    case spanTag.spanId:
      span.spanId = reader.hex();
      return;
    case spanTag.parentSpanId: {
      const parentSpanId = reader.hex();
      span.parentSpanId = parentSpanId === '0000000000000000' ? '' : parentSpanId;
      return;
    }
    case spanTag.traceState:
      span.traceState = reader.string();
      return;
    case spanTag.name:
      span.name = reader.string();
      return;
    case spanTag.kind: {
      const kind = reader.uint32();
      span.kind = kind <= 5 ? (kind as SpanKind) : 0;
      return;
    }
    case spanTag.startTimeUnixNano:
      span.startTimeUnixNano = reader.fixed64();
      return;
    case spanTag.endTimeUnixNano:
      span.endTimeUnixNano = reader.fixed64();
      return;
    case spanTag.events:
      span.events.push(decodeEvent(reader));
      return;
    case spanTag.links:
      span.links.push(decodeLink(reader));
      return;
    case spanTag.status:
      decodeStatus(reader, span);
      return;
    case spanTag.flags:
      span.flags = reader.fixed32();
      return;
    case spanTag.droppedAttributesCount:
      span.droppedAttributesCount = reader.uint32();
      return;
    case spanTag.droppedEventsCount:
      span.droppedEventsCount = reader.uint32();
      return;
    case spanTag.droppedLinksCount:
      span.droppedLinksCount = reader.uint32();
      return;
    default:
      reader.skip(tag);
  }
}

function decodeEvent(reader: ProtobufReader): SpanEvent {
  const outer = reader.enter();
  const attributes: KeyValue[] = [];
  const event = { timeUnixNano: 0n, name: '', attributes, droppedAttributesCount: 0 };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === eventTag.timeUnixNano) event.timeUnixNano = reader.fixed64();
    else if (tag === eventTag.name) event.name = reader.string();
    else if (tag === eventTag.attributes) attributes.push(decodeAttribute(reader, 5));
    else if (tag === eventTag.droppedAttributesCount) event.droppedAttributesCount = reader.uint32();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return event;
}

function decodeLink(reader: ProtobufReader): SpanLink {
  const outer = reader.enter();
  const attributes: KeyValue[] = [];
  const link = { traceId: '', spanId: '', traceState: '', attributes, droppedAttributesCount: 0, flags: 0 };
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === linkTag.traceId) link.traceId = reader.hex();
    else if (tag === linkTag.spanId) link.spanId = reader.hex();
    else if (tag === linkTag.traceState) link.traceState = reader.string();
    else if (tag === linkTag.attributes) attributes.push(decodeAttribute(reader, 5));
    else if (tag === linkTag.droppedAttributesCount) link.droppedAttributesCount = reader.uint32();
    else if (tag === linkTag.flags) link.flags = reader.fixed32();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return link;
}

function decodeStatus(reader: ProtobufReader, span: SpanInProgress): void {
  const outer = reader.enter();
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === statusTag.message) span.statusMessage = reader.string();
    else if (tag === statusTag.code) {
      const code = reader.uint32();
      span.statusCode = code === 1 || code === 2 ? code : 0;
    } else reader.skip(tag);
  }
  reader.leave(outer);
}
