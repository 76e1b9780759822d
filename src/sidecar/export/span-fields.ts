// The fields of an OTLP span below the attributes' choice: identity, text, flags, length.
import { isAscii } from '../../wire/http1/characters.ts';
import type { Exchange } from '../exchange.ts';
import type { Key } from './attribute-keys.ts';
import type { SpanWriter } from './span-writer.ts';

/** A bound on keys, numbers and framing of one span, whatever the request. */
export const maxFixedBytes = 2048;

/** Trace and span id, parent, tracestate, times. */
export function writeIdentity(writer: SpanWriter, exchange: Exchange, endMs: number): void {
  writer.byte(0x0a);
  writer.byte(16);
  writer.hex(exchange.traceId);
  writer.byte(0x12);
  writer.byte(8);
  writer.hex(exchange.spanId);
  if (exchange.traceState !== '') writeText(writer, 0x1a, exchange.traceState);
  if (exchange.parentSpanId !== '') {
    writer.byte(0x22);
    writer.byte(8);
    writer.hex(exchange.parentSpanId);
  }
  writer.byte(0x39);
  writer.timeUnixNano(exchange.startMs);
  writer.byte(0x41);
  writer.timeUnixNano(Math.max(endMs, exchange.startMs));
}

/** Heads without a byte above 0x7F, nearly all, need no look at each value. */
export function textWriter(exchange: Exchange): typeof writeAsciiAttribute {
  return exchange.nonAscii ? writeUtf8Attribute : writeAsciiAttribute;
}

/** The head's text is latin1; what it means is UTF-8, with U+FFFD for what is neither. */
export function utf8(exchange: Exchange, value: string): string {
  return exchange.nonAscii && !isAscii(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

function writeAsciiAttribute(writer: SpanWriter, key: Key, value: string): void {
  writer.asciiAttribute(key, value);
}

export function writeUtf8Attribute(writer: SpanWriter, key: Key, value: string): void {
  if (isAscii(value)) writer.asciiAttribute(key, value);
  else writer.textAttribute(key, Buffer.from(value, 'latin1').toString('utf8'));
}

/** A string field of a one-byte tag; the text may hold any character. */
export function writeText(writer: SpanWriter, tag: number, text: string): void {
  const size = Buffer.byteLength(text);
  writer.reserve(size + maxFixedBytes);
  writer.byte(tag);
  writer.varint(size);
  if (size === text.length) writer.ascii(text);
  else {
    writer.bytes.write(text, writer.position, size, 'utf8');
    writer.position += size;
  }
}

/** Span.flags (field 16): the W3C octet, and that it is known whether the parent is remote (bits 8 and 9). */
export function writeFlags(writer: SpanWriter, exchange: Exchange): void {
  writer.byte(0x85);
  writer.byte(0x01);
  writer.byte(1 | (exchange.randomFlag ? 2 : 0));
  writer.byte(exchange.parentSpanId === '' ? 0x01 : 0x03);
  writer.byte(0);
  writer.byte(0);
}

/** Fills in the length of the message that begins two bytes after `lengthAt`, moving it when two bytes do not fit. */
export function writeLength(writer: SpanWriter, lengthAt: number): void {
  const start = lengthAt + 2;
  const size = writer.position - start;
  if (size >= 0x80 && size < 0x4000) {
    writer.bytes[lengthAt] = (size & 0x7f) | 0x80;
    writer.bytes[lengthAt + 1] = size >> 7;
    return;
  }
  const lengthBytes = size < 0x80 ? 1 : 3;
  writer.reserve(1);
  writer.bytes.copyWithin(lengthAt + lengthBytes, start, start + size);
  writer.position = lengthAt;
  writer.varint(size);
  writer.position += size;
}

/** Characters of the values a request brings: the bound on what its attributes take, times the bytes of a character. */
export function variableLength(exchange: Exchange): number {
  let tags = 0;
  if (exchange.tagValues !== undefined) for (const value of exchange.tagValues) tags += value.length + 300;
  return (
    exchange.target.length +
    exchange.authority.length +
    exchange.userAgent.length +
    exchange.requestId.length +
    exchange.clientTraceId.length +
    exchange.downstreamCluster.length +
    exchange.traceState.length +
    exchange.method.length +
    tags
  );
}
