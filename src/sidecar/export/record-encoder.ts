// Encodes a span record as OTLP (opentelemetry/proto/trace/v1/trace.proto): the way of the few spans that are not requests.
import type { SpanEvent, SpanKind, SpanRecord } from '../span-record.ts';
import { encodeKey } from './attribute-keys.ts';
import { writeLength, writeText } from './span-fields.ts';
import { type SpanWriter, varintSize } from './span-writer.ts';

const kinds: Readonly<Record<SpanKind, number>> = { INTERNAL: 1, SERVER: 2, CLIENT: 3 };

/**
 * Appends the span as `ScopeSpans.spans` (field 2).
 * @param tags encoded attributes that every span has
 */
export function writeRecord(writer: SpanWriter, record: SpanRecord, tags: Uint8Array): void {
  writer.reserve(512 + tags.length + boundOf(record));
  writer.byte(0x12);
  const lengthAt = writer.position;
  writer.position += 2;
  writer.byte(0x0a);
  writer.byte(16);
  writer.hex(record.traceId);
  writer.byte(0x12);
  writer.byte(8);
  writer.hex(record.spanId);
  if (record.traceState !== '') writeText(writer, 0x1a, record.traceState);
  if (record.parentSpanId !== '') {
    writer.byte(0x22);
    writer.byte(8);
    writer.hex(record.parentSpanId);
  }
  writeText(writer, 0x2a, record.name);
  writer.byte(0x30);
  writer.byte(kinds[record.kind]);
  writer.byte(0x39);
  writer.timeUnixNano(record.startMs);
  writer.byte(0x41);
  writer.timeUnixNano(Math.max(record.endMs, record.startMs));
  for (const [name, value] of Object.entries(record.attributes)) writeAttribute(writer, name, value);
  writer.raw(tags);
  for (const event of record.events) writeEvent(writer, event);
  if (record.error) writer.raw(statusError);
  writer.raw(flags);
  writeLength(writer, lengthAt);
}

/** Status (field 15) with code ERROR. */
export const statusError = Uint8Array.of(0x7a, 0x02, 0x18, 0x02);
/** Span.flags (field 16): sampled, and whether the parent is remote is known: it is not. */
const flags = Uint8Array.of(0x85, 0x01, 0x01, 0x01, 0, 0);

function writeAttribute(writer: SpanWriter, name: string, value: string | number): void {
  if (typeof value === 'number') writer.intAttribute(encodeKey(name), value);
  else if (value !== '') writer.textAttribute(encodeKey(name), value);
}

/**
 * Appends a Span.Event (field 11): time_unix_nano (1), name (2), attributes (3) with whole numbers only.
 * The caller has reserved the room: 64 bytes, the name, and for each attribute its name and 16 bytes.
 */
export function writeEvent(writer: SpanWriter, event: SpanEvent): void {
  const name = Buffer.from(event.name);
  const attributes = Object.entries(event.attributes).map(([key, value]) => encodeEventAttribute(key, Number(value)));
  const size = 9 + 2 + name.length + attributes.reduce((sum, { length }) => sum + 2 + length, 0);
  writer.byte(0x5a);
  writer.varint(size);
  writer.byte(0x09);
  writer.timeUnixNano(event.timeMs);
  writer.byte(0x12);
  writer.byte(name.length);
  writer.raw(name);
  for (const attribute of attributes) {
    writer.byte(0x1a);
    writer.byte(attribute.length);
    writer.raw(attribute);
  }
}

/** A KeyValue message with an int_value, below 128 bytes. */
function encodeEventAttribute(name: string, value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest > 127 ? (rest % 128) | 0x80 : rest);
    if (rest <= 127) break;
  }
  return Uint8Array.from([...encodeKey(name), 0x12, 1 + varintSize(value), 0x18, ...bytes]);
}

/** A bound on what the texts of a record take. */
function boundOf(record: SpanRecord): number {
  let characters = record.name.length + record.traceState.length;
  for (const [name, value] of Object.entries(record.attributes)) characters += name.length + 16 + String(value).length;
  for (const event of record.events) {
    characters += 64 + event.name.length;
    for (const name of Object.keys(event.attributes)) characters += name.length + 16;
  }
  return characters * 3;
}
