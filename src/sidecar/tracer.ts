// The steps of a traced request, in order: this file is the map. Bytes and sockets are elsewhere.

import { Format, type SpanContext } from '../trace/context.ts';
import { readBaggage } from '../trace/custom-tags.ts';
import { newRequestId, newSpanId, newTraceId, randomnessOf } from '../trace/ids.ts';
import { decideSampling } from '../trace/sampling.ts';
import { responseFieldNames } from '../wire/http1/framing.ts';
import type { HeadScanner } from '../wire/http1/head-scanner.ts';
import { nowMs } from './clock.ts';
import type { SidecarConfig } from './config.ts';
import type { ConnectionEnd } from './connection-observer.ts';
import type { ConnectionSpan } from './connection-span.ts';
import type { Exchange } from './exchange.ts';
import { isExcluded } from './exclusions.ts';
import type { Exporter } from './export/exporter.ts';
import { requestTags } from './export/span-encoder.ts';
import type { ConnectionFacts, SpanTemplate } from './export/span-template.ts';
import type { HeaderForwarding } from './header-forwarding.ts';
import { type IncomingContext, readIncomingContext } from './incoming-context.ts';
import { formatContextLines, rewriteHead } from './outgoing-head.ts';
import { createRequestFieldNames, Field, RequestFields } from './request-fields.ts';
import { ScannerPool } from './scanner-pool.ts';
import { connectionPart, connectionRecord, exchangePart } from './span-parts.ts';
import { bump, type SidecarStats } from './stats.ts';

/** What the tracer knows of a connection. */
export interface TracedConnection {
  readonly direction: ConnectionFacts['direction'];
  readonly template: SpanTemplate;
  /** The peer may force traces (R16 step 1). */
  readonly internal: boolean;
  /** Epoch milliseconds. */
  readonly startMs: number;
  readonly bytesFromClient: number;
  readonly bytesFromServer: number;
  /** Whether one more span may be made of it now: a guard against floods (R11). */
  admitsSpan(nowMs: number): boolean;
}

/** What bounds a connection. Times of 0 are no bound. */
export interface ConnectionLimits {
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** 0: no limit. */
  readonly maxSpansPerSecond: number;
  readonly strict: boolean;
}

type RequestTag = { readonly baggageKey: string; readonly fieldId: number; readonly fallback: string };

/** Opens and closes exchanges: reads the incoming context, decides, writes the outgoing head, hands over the span. */
export class Tracer {
  readonly fieldNames = createRequestFieldNames();
  readonly limits: ConnectionLimits;
  readonly requestScanners: ScannerPool;
  readonly responseScanners: ScannerPool;
  readonly stats: SidecarStats;
  readonly forwarding: HeaderForwarding;
  readonly exporter: Exporter;
  readonly #config: SidecarConfig;
  readonly #fields: RequestFields;
  readonly #configured: number;
  readonly #tags: readonly RequestTag[];

  constructor(config: SidecarConfig, exporter: Exporter, stats: SidecarStats, forwarding: HeaderForwarding) {
    this.#config = config;
    this.limits = config;
    this.requestScanners = new ScannerPool('request', this.fieldNames, config.maxHeadBytes);
    this.responseScanners = new ScannerPool('response', responseFieldNames, config.maxHeadBytes);
    this.exporter = exporter;
    this.stats = stats;
    this.forwarding = forwarding;
    this.#tags = requestTags(config.customTags).map((tag) =>
      tag.kind === 'header'
        ? { baggageKey: '', fieldId: this.fieldNames.add(tag.header), fallback: tag.fallback }
        : { baggageKey: tag.kind === 'baggage' ? tag.key : '', fieldId: Field.baggage, fallback: '' },
    );
    this.#fields = new RequestFields(this.fieldNames);
    this.#configured = config.propagators.reduce((bits, name) => bits | Format[name], 0);
  }

  /**
   * Opens the exchange of a request whose head is complete and certain.
   * @param text the head as latin1, its blank line included
   * @param from characters of it that have already gone to the server (never more than the request line)
   * @returns the rest of the head, as it goes on
   */
  open(exchange: Exchange, head: HeadScanner, text: string, from: number, connection: TracedConnection): string {
    const fields = this.#fields;
    if (connection.direction === 'inbound') this.forwarding.inFlight++;
    // 1. What the request is. Values are kept as the head has them; nothing is copied.
    fields.read(head, text);
    readRequest(exchange, head, text, fields);
    // 2. Telemetry and probes are not traced, and their headers are not touched.
    const excluded = isExcluded(exchange.method, exchange.target, exchange.userAgent);
    // 3. The context that came in, every format read, conflicts settled (R15).
    const incoming = excluded ? undefined : readIncomingContext(fields, this.forwarding.wasInjected);
    // 4. Ids: the trace goes on, or begins here.
    this.#identify(exchange, incoming);
    // 5. Client, random and overall sampling (R16).
    this.#decide(exchange, incoming, excluded, connection);
    this.#watchForwarding(exchange, incoming, connection);
    // 6. Custom tags whose values the request brings.
    if (exchange.sampled && this.#tags.length > 0) this.#readTags(exchange, fields);
    // 7. The head that goes on.
    return incoming === undefined ? text.slice(from) : this.#outgoing(exchange, incoming, head, text, from, connection);
  }

  /** Closes an exchange: counted always, written as a span when it was sampled. */
  close(exchange: Exchange, connection: TracedConnection): void {
    const endMs = nowMs();
    const { direction } = connection;
    if (direction === 'inbound') this.forwarding.inFlight--;
    this.stats.of(direction).countRequest(exchange.status, endMs - exchange.startMs);
    if (!exchange.sampled) return;
    if (exchange.errorType === '' && exchange.status >= 500) exchange.errorType = String(exchange.status);
    if (connection.admitsSpan(endMs)) this.exporter.add(exchange, connection.template, endMs);
    else this.exporter.refuse('flood');
  }

  /** An exchange that goes on: once an interval, a part of its span says how far it has come. */
  continue(exchange: Exchange, connection: TracedConnection, nowMs: number): void {
    const { heartbeatIntervalMs } = this.limits;
    if (!exchange.sampled || heartbeatIntervalMs === 0) return;
    const since = exchange.parts === 0 ? exchange.startMs : exchange.partEndMs;
    if (nowMs - since < heartbeatIntervalMs) return;
    const record = exchangePart(exchange, connection.template.facts, since, nowMs);
    if (connection.admitsSpan(nowMs)) this.exporter.addRecord(record);
    else this.exporter.refuse('flood');
  }

  /** Opens the span of a connection that is not read: a trace of its own, sampled as any root is. */
  openConnection(span: ConnectionSpan, connection: TracedConnection): void {
    span.traceId = newTraceId();
    span.spanId = newSpanId();
    const decision = decideSampling(this.#config.sampling, {
      excluded: false,
      internal: connection.internal,
      forceRequested: false,
      clientRequested: false,
      parentSampled: undefined,
      randomness: randomnessOf(span.traceId),
    });
    this.stats.of(connection.direction).countDecision(decision);
    span.sampled = decision.sampled;
    span.reason = decision.reason;
  }

  /** The same as `continue`, for a connection that is not read. */
  continueConnection(span: ConnectionSpan, connection: TracedConnection, nowMs: number): void {
    const { heartbeatIntervalMs } = this.limits;
    if (!span.sampled || heartbeatIntervalMs === 0) return;
    const since = span.parts === 0 ? span.startMs : span.partEndMs;
    if (nowMs - since >= heartbeatIntervalMs) this.exporter.addRecord(connectionPart(span, connection, since, nowMs));
  }

  closeConnection(span: ConnectionSpan, connection: TracedConnection, end: ConnectionEnd): void {
    if (span.sampled) this.exporter.addRecord(connectionRecord(span, connection, this.#config, end, nowMs()));
  }

  #identify(exchange: Exchange, incoming: IncomingContext | undefined): void {
    const parent = incoming?.context;
    const continues = parent !== undefined && parent.traceId !== '';
    exchange.traceId = continues ? parent.traceId : newTraceId();
    exchange.parentSpanId = continues ? parent.spanId : '';
    exchange.spanId = newSpanId();
    exchange.randomFlag = continues && parent.randomFlag;
    if (continues && incoming?.keepTraceState === true && this.#fields.has(Field.tracestate)) {
      exchange.traceState = this.#fields.values(Field.tracestate).join(',');
    }
    if (incoming?.conflict !== undefined) bump(this.stats.contextConflicts, incoming.conflict);
  }

  #decide(
    exchange: Exchange,
    incoming: IncomingContext | undefined,
    excluded: boolean,
    connection: TracedConnection,
  ): void {
    const decision = decideSampling(this.#config.sampling, {
      excluded,
      internal: connection.internal,
      forceRequested: this.#fields.has(Field.envoyForceTrace) || this.#fields.has(Field.jaegerDebugId),
      clientRequested: exchange.clientTraceId !== '' || this.#fields.has(Field.clientTraceId),
      parentSampled: incoming?.context?.sampled,
      randomness: randomnessOf(exchange.traceId),
    });
    this.stats.of(connection.direction).countDecision(decision);
    exchange.sampled = decision.sampled;
    exchange.reason = decision.reason;
  }

  #watchForwarding(exchange: Exchange, incoming: IncomingContext | undefined, connection: TracedConnection): void {
    if (connection.direction === 'inbound' || incoming === undefined) return;
    this.forwarding.sawCall(exchange.parentSpanId, incoming.present, exchange.requestId !== '');
  }

  #readTags(exchange: Exchange, fields: RequestFields): void {
    exchange.tagValues = this.#tags.map((tag) => {
      const value = fields.value(tag.fieldId);
      if (tag.baggageKey !== '') return value === undefined ? '' : readBaggage(value, tag.baggageKey);
      return value ?? tag.fallback;
    });
  }

  #outgoing(
    exchange: Exchange,
    incoming: IncomingContext,
    head: HeadScanner,
    text: string,
    from: number,
    connection: TracedConnection,
  ): string {
    const formats = this.#configured | incoming.present;
    const debug = exchange.sampled && incoming.context?.debug === true;
    const context: SpanContext = {
      traceId: exchange.traceId,
      spanId: exchange.spanId,
      parentSpanId: exchange.parentSpanId,
      sampled: exchange.sampled,
      debug,
      traceId64: incoming.context?.traceId64 === true,
      randomFlag: exchange.randomFlag,
    };
    let lines = formatContextLines(context, formats);
    if (exchange.requestId === '' && this.#config.requestId === 'generate' && !this.#fields.has(Field.requestId)) {
      exchange.requestId = newRequestId(randomnessOf(exchange.traceId));
      lines += `x-request-id: ${exchange.requestId}\r\n`;
    }
    const rewritten =
      this.#fields.tracePresent === 0
        ? `${text.slice(from, text.length - 2)}${lines}\r\n`
        : rewriteHead(text, head, from, lines, incoming.keepTraceState);
    const grown = from + rewritten.length - text.length;
    if (grown > 0 && (text.length + grown > this.#config.maxAddedHeadBytes || passesFieldLimit(head, rewritten))) {
      this.stats.headBudget++;
      return text.slice(from);
    }
    if (connection.direction === 'inbound') this.forwarding.gave(exchange.spanId, formats);
    return rewritten;
  }
}

/** Servers that count fields stop at 100 (Envoy, Apache) or 101 (HAProxy): our lines must not be what makes the difference. */
const usualMaxFields = 100;

function passesFieldLimit({ fieldCount }: HeadScanner, rewritten: string): boolean {
  // Far from it, which is nearly always, nothing needs counting.
  if (fieldCount <= usualMaxFields - 12) return false;
  const fields = rewritten.split('\r\n').length - 3;
  return fields > usualMaxFields && fields > fieldCount;
}

function readRequest(exchange: Exchange, head: HeadScanner, text: string, fields: RequestFields): void {
  exchange.method = text.slice(head.methodStart, head.methodEnd);
  exchange.target = text.slice(head.methodEnd + 1, head.targetEnd);
  exchange.minorVersion = head.minorVersion;
  exchange.nonAscii = head.nonAscii;
  exchange.authority = fields.value(Field.host) ?? '';
  exchange.userAgent = fields.value(Field.userAgent) ?? '';
  exchange.requestId = fields.value(Field.requestId) ?? '';
  exchange.clientTraceId = fields.value(Field.clientTraceId) ?? '';
  exchange.downstreamCluster = fields.value(Field.downstreamCluster) ?? '';
}
