// Turns a finished exchange into an encoded OTLP span, once, at its end.
import { hostname } from 'node:os';
import type { CustomTag } from '../../trace/custom-tags.ts';
import { samplingReasons } from '../../trace/sampling.ts';
import { isAscii } from '../../wire/http1/characters.ts';
import type { SpanAttributes } from '../config.ts';
import type { Exchange } from '../exchange.ts';
import {
  encodeKey,
  encodeKeys,
  envoyNames,
  type Key,
  type Keys,
  samplingReasonName,
  semconvNames,
} from './attribute-keys.ts';
import type { ConnectionFacts, SpanTemplate } from './span-template.ts';
import { SpanWriter } from './span-writer.ts';
import { splitAuthority, splitTarget, type TargetParts } from './url-attributes.ts';

export interface SpanEncoderOptions {
  readonly attributes: SpanAttributes;
  readonly customTags: readonly CustomTag[];
  readonly maxPathTagLength: number;
  readonly allowedQueryParameters: ReadonlySet<string>;
  readonly service: string;
  /** Resolves environment tags, once, at start. */
  readonly environment: Readonly<Record<string, string | undefined>>;
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
  readonly #noRequestBody: Uint8Array;
  readonly #statuses: (Uint8Array | undefined)[] = [];

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
    this.#noRequestBody = this.#encode((writer) => this.#writeSize(writer, 'request', 0));
    this.#requestTagKeys = requestTags(options.customTags).map((tag) => encodeKey(tag.name));
  }

  /** Appends the span as `ScopeSpans.spans` (field 2). Times are epoch milliseconds. */
  write(writer: SpanWriter, exchange: Exchange, template: SpanTemplate, endMs: number): void {
    const parts = splitTarget(exchange.method, exchange.target, this.#options.allowedQueryParameters);
    const authority = parts.authority || exchange.authority;
    if (!template.matches(exchange, authority)) this.#fillTemplate(template, exchange, authority);
    writer.reserve(template.bytes.length + maxFixedBytes + 10 * variableLength(exchange));
    writer.byte(0x12);
    const lengthAt = writer.position;
    // Nearly every span takes a length of two bytes; the others are shifted afterwards.
    writer.position += 2;
    writeIdentity(writer, exchange, endMs);
    writer.raw(template.bytes);
    this.#writeTarget(writer, exchange, parts, authority);
    this.#writeOutcome(writer, exchange);
    writer.raw(this.#reasonAttributes[exchange.reason]!);
    if (exchange.tagValues !== undefined) this.#writeTags(writer, exchange.tagValues);
    if (exchange.errorType !== '') writer.raw(statusError);
    writeFlags(writer, exchange);
    writeLength(writer, lengthAt);
  }

  /** Encodes what later requests of the connection are likely to repeat: name, kind, peers, method, user agent. */
  #fillTemplate(template: SpanTemplate, exchange: Exchange, authority: string): void {
    const { facts } = template;
    const writer = this.#scratch;
    writer.position = 0;
    writer.reserve(maxFixedBytes + this.#constantTags.length + 10 * variableLength(exchange));
    writeText(writer, 0x2a, this.#spanName(exchange, authority, facts));
    writer.byte(0x30);
    writer.byte(facts.direction === 'inbound' ? serverKind : clientKind);
    if (this.#envoy !== undefined) writeEnvoyTemplate(writer, this.#envoy, exchange, facts);
    if (this.#semconv !== undefined) writeSemconvTemplate(writer, this.#semconv, exchange, authority, facts);
    writer.raw(this.#constantTags);
    template.keep(exchange, authority, writer.bytes.subarray(0, writer.position));
  }

  /** `<service>:<port>/*` inbound, `<authority>:<port>/*` outbound: what Istio's sidecars call the operation. */
  #spanName(exchange: Exchange, authority: string, facts: ConnectionFacts): string {
    if (facts.direction === 'inbound') return `${this.#options.service}:${facts.upstreamPort}/*`;
    const shown = utf8(exchange, authority);
    if (shown === '') return `${facts.upstreamAddress}:${facts.upstreamPort}/*`;
    return splitAuthority(shown).port === 0 ? `${shown}:${facts.upstreamPort}/*` : `${shown}/*`;
  }

  /** What the request line and the request ids say. */
  #writeTarget(writer: SpanWriter, exchange: Exchange, parts: TargetParts, authority: string): void {
    const text = textWriter(exchange);
    const limit = this.#options.maxPathTagLength;
    const envoy = this.#envoy;
    if (envoy !== undefined) {
      const path = truncate(parts.pathAndQuery, limit);
      text(writer, envoy.url, exchange.method === 'CONNECT' ? '' : `http://${authority}${path}`);
      if (exchange.requestId !== '') text(writer, envoy.requestId, exchange.requestId);
      if (exchange.clientTraceId !== '') text(writer, envoy.clientTraceId, exchange.clientTraceId);
    }
    const semconv = this.#semconv;
    if (semconv !== undefined) {
      text(writer, semconv.path, truncate(parts.path, limit));
      if (parts.query !== '') text(writer, semconv.query, truncate(parts.query, limit));
    }
  }

  /** What the response says, and how much went either way. */
  #writeOutcome(writer: SpanWriter, exchange: Exchange): void {
    if (exchange.requestBytes === 0) writer.raw(this.#noRequestBody);
    else this.#writeSize(writer, 'request', exchange.requestBytes);
    this.#writeSize(writer, 'response', exchange.responseBytes);
    if (exchange.responseFlag !== '-' || exchange.errorType !== '') {
      this.#writeStatus(writer, exchange.status, exchange.responseFlag);
      if (this.#envoy !== undefined && exchange.errorType !== '') writer.asciiAttribute(this.#envoy.error, 'true');
      writer.asciiAttribute(this.#semconv?.errorType, exchange.errorType);
      return;
    }
    // Few statuses make up nearly all answers: each is encoded once.
    this.#statuses[exchange.status] ??= this.#encode((scratch) => this.#writeStatus(scratch, exchange.status, '-'));
    writer.raw(this.#statuses[exchange.status]!);
  }

  #writeStatus(writer: SpanWriter, status: number, flag: string): void {
    writer.asciiAttribute(this.#envoy?.statusCode, String(status));
    writer.asciiAttribute(this.#envoy?.responseFlags, flag);
    if (status !== 0) writer.intAttribute(this.#semconv?.responseStatusCode, status);
  }

  #writeSize(writer: SpanWriter, of: 'request' | 'response', bytes: number): void {
    writer.asciiAttribute(of === 'request' ? this.#envoy?.requestSize : this.#envoy?.responseSize, String(bytes));
    writer.intAttribute(of === 'request' ? this.#semconv?.requestBodySize : this.#semconv?.responseBodySize, bytes);
  }

  #writeTags(writer: SpanWriter, values: readonly string[]): void {
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

function writeEnvoyTemplate(
  writer: SpanWriter,
  keys: Keys<typeof envoyNames>,
  exchange: Exchange,
  facts: ConnectionFacts,
): void {
  const text = textWriter(exchange);
  writer.asciiAttribute(keys.component, 'proxy');
  writer.textAttribute(keys.nodeId, `sidecar~${hostname()}`);
  writer.textAttribute(keys.peerAddress, facts.clientAddress);
  writer.textAttribute(keys.upstreamCluster, facts.upstreamCluster);
  writer.textAttribute(keys.upstreamClusterName, facts.upstreamCluster);
  if (facts.upstreamAddress !== '') {
    writer.textAttribute(keys.upstreamAddress, `${facts.upstreamAddress}:${facts.upstreamPort}`);
  }
  writer.asciiAttribute(keys.method, exchange.method);
  writer.asciiAttribute(keys.protocol, exchange.minorVersion === 0 ? 'HTTP/1.0' : 'HTTP/1.1');
  text(writer, keys.downstreamCluster, exchange.downstreamCluster || '-');
  text(writer, keys.userAgent, exchange.userAgent || '-');
}

function writeSemconvTemplate(
  writer: SpanWriter,
  keys: Keys<typeof semconvNames>,
  exchange: Exchange,
  authority: string,
  facts: ConnectionFacts,
): void {
  const text = textWriter(exchange);
  const inbound = facts.direction === 'inbound';
  const peer = inbound ? facts.clientAddress : facts.upstreamAddress;
  const server = splitAuthority(authority);
  writer.asciiAttribute(keys.scheme, 'http');
  if (inbound) writer.textAttribute(keys.clientAddress, facts.clientAddress);
  if (peer !== '') {
    writer.textAttribute(keys.networkPeerAddress, peer);
    writer.intAttribute(keys.networkPeerPort, inbound ? facts.clientPort : facts.upstreamPort);
  }
  writer.asciiAttribute(keys.requestMethod, exchange.method);
  if (server.host !== '') text(writer, keys.serverAddress, server.host);
  writer.intAttribute(keys.serverPort, server.port || facts.upstreamPort);
  writer.asciiAttribute(keys.protocolVersion, exchange.minorVersion === 0 ? '1.0' : '1.1');
  if (exchange.userAgent !== '') text(writer, keys.userAgentOriginal, exchange.userAgent);
}

/** Trace and span id, parent, tracestate, times. */
function writeIdentity(writer: SpanWriter, exchange: Exchange, endMs: number): void {
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

function truncate(text: string, limit: number): string {
  return text.length > limit ? text.slice(0, limit) : text;
}

/** Heads without a byte above 0x7F, nearly all, need no look at each value. */
function textWriter(exchange: Exchange): typeof writeAsciiAttribute {
  return exchange.nonAscii ? writeUtf8Attribute : writeAsciiAttribute;
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
