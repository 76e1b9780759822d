// Turns a finished exchange into an encoded OTLP span, once, at its end.
import { hostname } from 'node:os';
import type { CustomTag } from '../../trace/custom-tags.ts';
import { samplingReasons } from '../../trace/sampling.ts';
import { isAscii } from '../../wire/http1/characters.ts';
import type { Direction, SpanAttributes } from '../config.ts';
import type { Exchange } from '../exchange.ts';
import { encodeKey, encodeKeys, envoyNames, type Key, samplingReasonName, semconvNames } from './attribute-keys.ts';
import { SpanWriter } from './span-writer.ts';
import { splitAuthority, splitTarget } from './url-attributes.ts';

export interface SpanEncoderOptions {
  readonly attributes: SpanAttributes;
  readonly customTags: readonly CustomTag[];
  readonly maxPathTagLength: number;
  readonly allowedQueryParameters: ReadonlySet<string>;
  readonly service: string;
  /** Resolves environment tags, once, at start. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What is the same for all spans of one connection. */
export interface ConnectionFacts {
  readonly direction: Direction;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly upstreamAddress: string;
  readonly upstreamPort: number;
  /** As Istio names clusters: `inbound|8080||` or `outbound|8080||payments`. */
  readonly upstreamCluster: string;
}

/** A bound on keys, numbers and framing of one span, whatever the request. */
const maxFixedBytes = 2048;
const clientKind = 3;
const serverKind = 2;
const statusError = Uint8Array.of(0x7a, 0x02, 0x18, 0x02);

/** Writes spans of one configuration; holds every key and constant in encoded form. */
export class SpanEncoder {
  readonly #options: SpanEncoderOptions;
  readonly #envoy;
  readonly #semconv;
  readonly #reasonAttributes: Readonly<Record<string, Uint8Array>>;
  /** Custom tags that are the same on every span. */
  readonly #constantTags: Uint8Array;
  readonly #requestTagKeys: readonly Key[];
  readonly #scratch = new SpanWriter(0, 16 << 10);

  constructor(options: SpanEncoderOptions) {
    this.#options = options;
    const replaced = new Set(options.customTags.map((tag) => tag.name));
    this.#envoy = options.attributes === 'semconv' ? undefined : encodeKeys(envoyNames, replaced);
    this.#semconv = options.attributes === 'envoy' ? undefined : encodeKeys(semconvNames, replaced);
    const reasonKey = replaced.has(samplingReasonName) ? undefined : encodeKey(samplingReasonName);
    this.#reasonAttributes = Object.fromEntries(
      samplingReasons.map((reason) => [reason, this.#encode((writer) => writer.asciiAttribute(reasonKey, reason))]),
    );
    this.#constantTags = this.#encode((writer) => this.#writeConstantTags(writer));
    this.#requestTagKeys = requestTags(options.customTags).map((tag) => encodeKey(tag.name));
  }

  /** The attributes that all spans of a connection share, encoded. */
  encodeConnection(facts: ConnectionFacts): Uint8Array {
    return this.#encode((writer) => {
      const upstream = `${facts.upstreamAddress}:${facts.upstreamPort}`;
      if (this.#envoy !== undefined) {
        const keys = this.#envoy;
        writer.asciiAttribute(keys.component, 'proxy');
        writer.textAttribute(keys.nodeId, `sidecar~${hostname()}`);
        writer.textAttribute(keys.peerAddress, facts.clientAddress);
        writer.textAttribute(keys.upstreamCluster, facts.upstreamCluster);
        writer.textAttribute(keys.upstreamClusterName, facts.upstreamCluster);
        if (facts.upstreamAddress !== '') writer.textAttribute(keys.upstreamAddress, upstream);
      }
      if (this.#semconv !== undefined) {
        const keys = this.#semconv;
        const inbound = facts.direction === 'inbound';
        const peer = inbound ? facts.clientAddress : facts.upstreamAddress;
        writer.asciiAttribute(keys.scheme, 'http');
        if (inbound) writer.textAttribute(keys.clientAddress, facts.clientAddress);
        if (peer !== '') {
          writer.textAttribute(keys.networkPeerAddress, peer);
          writer.intAttribute(keys.networkPeerPort, inbound ? facts.clientPort : facts.upstreamPort);
        }
      }
      writer.raw(this.#constantTags);
    });
  }

  /** Appends the span as `ScopeSpans.spans` (field 2). Times are epoch milliseconds. */
  write(writer: SpanWriter, exchange: Exchange, connection: Uint8Array, facts: ConnectionFacts, endMs: number): void {
    writer.reserve(connection.length + maxFixedBytes + 10 * variableLength(exchange));
    writer.byte(0x12);
    const lengthAt = writer.position;
    // Nearly every span takes a length of two bytes; the others are shifted afterwards.
    writer.position += 2;
    this.#writeIdentity(writer, exchange, facts, endMs);
    writer.raw(connection);
    this.#writeAttributes(writer, exchange, facts);
    if (exchange.errorType !== '') writer.raw(statusError);
    writeFlags(writer, exchange);
    writeLength(writer, lengthAt);
  }

  #writeIdentity(writer: SpanWriter, exchange: Exchange, facts: ConnectionFacts, endMs: number): void {
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
    writeText(writer, 0x2a, this.#spanName(exchange, facts));
    writer.byte(0x30);
    writer.byte(facts.direction === 'inbound' ? serverKind : clientKind);
    writer.byte(0x39);
    writer.timeUnixNano(exchange.startMs);
    writer.byte(0x41);
    writer.timeUnixNano(Math.max(endMs, exchange.startMs));
  }

  /** `<service>:<port>/*` inbound, `<authority>:<port>/*` outbound: what Istio's sidecars call the operation. */
  #spanName(exchange: Exchange, facts: ConnectionFacts): string {
    if (facts.direction === 'inbound') return `${this.#options.service}:${facts.upstreamPort}/*`;
    const authority = utf8(exchange, exchange.authority);
    if (authority === '') return `${facts.upstreamAddress}:${facts.upstreamPort}/*`;
    return splitAuthority(authority).port === 0 ? `${authority}:${facts.upstreamPort}/*` : `${authority}/*`;
  }

  #writeAttributes(writer: SpanWriter, exchange: Exchange, facts: ConnectionFacts): void {
    const text = exchange.nonAscii ? writeUtf8Attribute : writeAsciiAttribute;
    const parts = splitTarget(exchange.method, exchange.target, this.#options.allowedQueryParameters);
    const authority = parts.authority || exchange.authority;
    const envoy = this.#envoy;
    if (envoy !== undefined) {
      const path = parts.pathAndQuery;
      const limit = this.#options.maxPathTagLength;
      const shown = path.length > limit ? path.slice(0, limit) : path;
      text(writer, envoy.url, exchange.method === 'CONNECT' ? '' : `http://${authority}${shown}`);
      writer.asciiAttribute(envoy.method, exchange.method);
      writer.asciiAttribute(envoy.protocol, exchange.minorVersion === 0 ? 'HTTP/1.0' : 'HTTP/1.1');
      if (exchange.requestId !== '') text(writer, envoy.requestId, exchange.requestId);
      if (exchange.clientTraceId !== '') text(writer, envoy.clientTraceId, exchange.clientTraceId);
      text(writer, envoy.downstreamCluster, exchange.downstreamCluster || '-');
      text(writer, envoy.userAgent, exchange.userAgent || '-');
      writer.asciiAttribute(envoy.requestSize, String(exchange.requestBytes));
      writer.asciiAttribute(envoy.responseSize, String(exchange.responseBytes));
      writer.asciiAttribute(envoy.statusCode, String(exchange.status));
      writer.asciiAttribute(envoy.responseFlags, exchange.responseFlag);
      if (exchange.errorType !== '') writer.asciiAttribute(envoy.error, 'true');
    }
    const semconv = this.#semconv;
    if (semconv !== undefined) {
      const server = splitAuthority(authority);
      const path = parts.path;
      const limit = this.#options.maxPathTagLength;
      writer.asciiAttribute(semconv.requestMethod, exchange.method);
      text(writer, semconv.path, path.length > limit ? path.slice(0, limit) : path);
      if (parts.query !== '') text(writer, semconv.query, parts.query.slice(0, limit));
      if (exchange.status !== 0) writer.intAttribute(semconv.responseStatusCode, exchange.status);
      if (server.host !== '') text(writer, semconv.serverAddress, server.host);
      writer.intAttribute(semconv.serverPort, server.port || facts.upstreamPort);
      writer.asciiAttribute(semconv.protocolVersion, exchange.minorVersion === 0 ? '1.0' : '1.1');
      if (exchange.userAgent !== '') text(writer, semconv.userAgentOriginal, exchange.userAgent);
      writer.intAttribute(semconv.requestBodySize, exchange.requestBytes);
      writer.intAttribute(semconv.responseBodySize, exchange.responseBytes);
      if (exchange.errorType !== '') writer.asciiAttribute(semconv.errorType, exchange.errorType);
    }
    writer.raw(this.#reasonAttributes[exchange.reason]!);
    const values = exchange.tagValues;
    if (values === undefined) return;
    for (let i = 0; i < values.length; i++) {
      if (values[i] !== '') writeUtf8Attribute(writer, this.#requestTagKeys[i], values[i]!);
    }
  }

  #encode(write: (writer: SpanWriter) => void): Uint8Array {
    this.#scratch.position = 0;
    write(this.#scratch);
    return Uint8Array.from(this.#scratch.bytes.subarray(0, this.#scratch.position));
  }

  #writeConstantTags(writer: SpanWriter): void {
    const written = new Set<string>();
    for (const tag of this.#options.customTags) {
      if (tag.kind === 'header' || tag.kind === 'baggage' || written.has(tag.name)) continue;
      const value = tag.kind === 'literal' ? tag.value : (this.#options.environment[tag.variable] ?? tag.fallback);
      if (value === '') continue;
      written.add(tag.name);
      writer.reserve(value.length * 3 + tag.name.length * 3 + 64);
      writer.textAttribute(encodeKey(tag.name), value);
    }
  }
}

/** The tags whose value each request brings, first of each name only, in the order of `Exchange.tagValues`. */
export function requestTags(tags: readonly CustomTag[]) {
  const seen = new Set<string>();
  return tags.filter((tag) => {
    const first = !seen.has(tag.name);
    seen.add(tag.name);
    return first && (tag.kind === 'header' || tag.kind === 'baggage');
  });
}

/** The head's text is latin1; what it means is UTF-8, with U+FFFD for what is neither. */
function utf8(exchange: Exchange, value: string): string {
  return exchange.nonAscii && !isAscii(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
}

function writeAsciiAttribute(writer: SpanWriter, key: Key, value: string): void {
  writer.asciiAttribute(key, value);
}

function writeUtf8Attribute(writer: SpanWriter, key: Key, value: string): void {
  if (isAscii(value)) writer.asciiAttribute(key, value);
  else writer.textAttribute(key, Buffer.from(value, 'latin1').toString('utf8'));
}

/** A string field of a one-byte tag; the text may hold any character. */
function writeText(writer: SpanWriter, tag: number, text: string): void {
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
function writeFlags(writer: SpanWriter, exchange: Exchange): void {
  writer.byte(0x85);
  writer.byte(0x01);
  writer.byte(1 | (exchange.randomFlag ? 2 : 0));
  writer.byte(exchange.parentSpanId === '' ? 0x01 : 0x03);
  writer.byte(0);
  writer.byte(0);
}

/** Fills in the length of the message that begins two bytes after `lengthAt`, moving it when two bytes do not fit. */
function writeLength(writer: SpanWriter, lengthAt: number): void {
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
function variableLength(exchange: Exchange): number {
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
