// Turns a finished exchange into an encoded OTLP span, once, at its end.
import type { CustomTag } from '../../trace/custom-tags.ts';
import { samplingReasons } from '../../trace/sampling.ts';
import type { SpanAttributes } from '../config.ts';
import type { Exchange } from '../exchange.ts';
import { firstByte, messagesFromClientName, messagesFromServerName } from '../span-parts.ts';
import type { SpanRecord } from '../span-record.ts';
import { encodeKey, encodeKeys, envoyNames, type Key, samplingReasonName, semconvNames } from './attribute-keys.ts';
import { statusError, writeEvent, writeRecord } from './record-encoder.ts';
import {
  maxFixedBytes,
  textWriter,
  utf8,
  variableLength,
  writeFlags,
  writeIdentity,
  writeLength,
  writeText,
  writeUtf8Attribute,
} from './span-fields.ts';
import { type ConnectionFacts, RequestTemplates, type SpanTemplate } from './span-template.ts';
import { SpanWriter } from './span-writer.ts';
import { writeEnvoyTemplate, writePeer, writeSemconvTemplate } from './template-attributes.ts';
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

const clientKind = 3;
const serverKind = 2;

/** Writes spans of one configuration; holds every key and constant in encoded form. */
export class SpanEncoder {
  readonly #options: SpanEncoderOptions;
  readonly #envoy;
  readonly #semconv;
  readonly #reasonAttributes: Readonly<Record<string, Uint8Array>>;
  /** Custom tags that are the same on every span. */
  readonly #constantTags: Uint8Array;
  readonly #requestTagKeys: readonly Key[];
  readonly #templates = new RequestTemplates();
  readonly #scratch = new SpanWriter(0, 16 << 10);
  readonly #noRequestBody: Uint8Array;
  readonly #statuses: (Uint8Array | undefined)[] = [];
  readonly #messagesFromClient = encodeKey(messagesFromClientName);
  readonly #messagesFromServer = encodeKey(messagesFromServerName);

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
    template.peer ??= this.#peerOf(template.facts);
    const { peer } = template;
    let request = template.request;
    if (request?.matches(exchange, authority) !== true) {
      request = this.#templates.get(template.facts, exchange, authority, () =>
        this.#encodeTemplate(template.facts, exchange, authority),
      );
      template.request = request;
    }
    writer.reserve(request.bytes.length + peer.length + maxFixedBytes + 10 * variableLength(exchange));
    writer.byte(0x12);
    const lengthAt = writer.position;
    // Nearly every span takes a length of two bytes; the others are shifted afterwards.
    writer.position += 2;
    writeIdentity(writer, exchange, endMs);
    writer.raw(request.bytes);
    writer.raw(peer);
    this.#writeTarget(writer, exchange, parts, authority);
    this.#writeOutcome(writer, exchange);
    writer.raw(this.#reasonAttributes[exchange.reason]!);
    if (exchange.tagValues !== undefined) this.#writeTags(writer, exchange.tagValues);
    if (exchange.firstByteMs !== 0 || exchange.messagesFromServer >= 0) this.#writeStream(writer, exchange);
    if (exchange.errorType !== '') writer.raw(statusError);
    writeFlags(writer, exchange);
    writeLength(writer, lengthAt);
  }

  /** Appends a span that is not made of a request, with the constant custom tags. */
  writeRecord(writer: SpanWriter, record: SpanRecord): void {
    writeRecord(writer, record, this.#constantTags);
  }

  /** What an exchange that takes more than a moment has beside: when its answer began, the messages within it. */
  #writeStream(writer: SpanWriter, exchange: Exchange): void {
    const { firstByteMs, startMs, messagesFromClient, messagesFromServer } = exchange;
    if (messagesFromClient >= 0) writer.intAttribute(this.#messagesFromClient, messagesFromClient);
    if (messagesFromServer >= 0) writer.intAttribute(this.#messagesFromServer, messagesFromServer);
    if (firstByteMs !== 0) writeEvent(writer, firstByte(startMs, firstByteMs));
  }

  /** Encodes what later requests of the connection are likely to repeat: name, kind, peers, method, user agent. */
  #encodeTemplate(facts: ConnectionFacts, exchange: Exchange, authority: string): Uint8Array {
    const writer = this.#scratch;
    writer.position = 0;
    writer.reserve(maxFixedBytes + this.#constantTags.length + 10 * variableLength(exchange));
    writeText(writer, 0x2a, this.#spanName(exchange, authority, facts));
    writer.byte(0x30);
    writer.byte(facts.direction === 'inbound' ? serverKind : clientKind);
    if (this.#envoy !== undefined) writeEnvoyTemplate(writer, this.#envoy, exchange, facts);
    if (this.#semconv !== undefined) writeSemconvTemplate(writer, this.#semconv, exchange, authority, facts);
    writer.raw(this.#constantTags);
    return writer.bytes.subarray(0, writer.position);
  }

  #peerOf(facts: ConnectionFacts): Uint8Array {
    const writer = this.#scratch;
    writer.position = 0;
    writePeer(writer, this.#envoy, this.#semconv, facts);
    // From the pool: a small buffer of its own costs more than what is in it.
    return Buffer.from(writer.bytes.subarray(0, writer.position));
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
      if (exchange.method === 'CONNECT') writer.asciiAttribute(envoy.url, '');
      else if (exchange.nonAscii) text(writer, envoy.url, `http://${authority}${path}`);
      else writer.asciiAttributeOf3(envoy.url, 'http://', authority, path);
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

function truncate(text: string, limit: number): string {
  return text.length > limit ? text.slice(0, limit) : text;
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
