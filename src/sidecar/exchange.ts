// One request and its response on a connection: what is learned along the way, kept until the span is written.
import type { SamplingReason } from '../trace/sampling.ts';

/** Envoy's response flags, as far as a spliced connection can know them (spec/envoy-tracing.md section 3.3). */
export type ResponseFlag = '-' | 'UF' | 'UC' | 'UPE' | 'DC' | 'DPE' | 'SI';

export class Exchange {
  next: Exchange | undefined;
  startMs = 0;
  method = '';
  /** The request target as it came. */
  target = '';
  /** The Host header's value, '' when there is none. */
  authority = '';
  minorVersion = 1;
  /** Some byte of the head is above 0x7F: values must be made valid UTF-8 before they go into a span. */
  nonAscii = false;
  upgradeAsked = false;
  webSocketAsked = false;
  sampled = false;
  reason: SamplingReason = 'random';
  traceId = '';
  spanId = '';
  parentSpanId = '';
  traceState = '';
  randomFlag = false;
  requestId = '';
  clientTraceId = '';
  userAgent = '';
  downstreamCluster = '';
  /** Values of the configured header and baggage tags, in their order; undefined when none are configured. */
  tagValues: string[] | undefined;
  requestDone = false;
  responseDone = false;
  status = 0;
  requestBytes = 0;
  responseBytes = 0;
  /** When an answer that takes more than one read began, epoch milliseconds; else 0. */
  firstByteMs = 0;
  /** Messages within the exchange (WebSocket, Server-Sent Events); -1 when it has none to count. */
  messagesFromClient = -1;
  messagesFromServer = -1;
  /** Parts of the span shown while it lasted (heartbeats), and what had gone by the end of the last one. */
  parts = 0;
  partEndMs = 0;
  partRequestBytes = 0;
  partResponseBytes = 0;
  partMessagesFromClient = 0;
  partMessagesFromServer = 0;
  responseFlag: ResponseFlag = '-';
  /** Semantic conventions' `error.type`; '' when nothing went wrong. */
  errorType = '';

  /** Clears what the last use left, apart from what `open` of the next request always sets. */
  reset(): void {
    this.next = undefined;
    this.sampled = false;
    this.traceState = '';
    this.clientTraceId = '';
    this.tagValues = undefined;
    this.requestDone = false;
    this.responseDone = false;
    this.status = 0;
    this.requestBytes = 0;
    this.responseBytes = 0;
    this.firstByteMs = 0;
    this.messagesFromClient = -1;
    this.messagesFromServer = -1;
    this.parts = 0;
    this.partRequestBytes = 0;
    this.partResponseBytes = 0;
    this.partMessagesFromClient = 0;
    this.partMessagesFromServer = 0;
    this.responseFlag = '-';
    this.errorType = '';
  }
}

/** The exchanges of one connection in the order of their requests (R7), reused one after another. */
export class ExchangeQueue {
  first: Exchange | undefined;
  #last: Exchange | undefined;
  #free: Exchange | undefined;
  length = 0;

  /** Forgets the exchanges kept for reuse, and the heads whose pieces they hold. */
  trim(): void {
    this.#free = undefined;
  }

  /** Appends a cleared exchange. */
  push(): Exchange {
    const exchange = this.#free ?? new Exchange();
    this.#free = exchange.next;
    exchange.reset();
    if (this.#last === undefined) this.first = exchange;
    else this.#last.next = exchange;
    this.#last = exchange;
    this.length++;
    return exchange;
  }

  /** Takes the first one out; it is reused after the next `push`, so read it before. */
  shift(): Exchange | undefined {
    const exchange = this.first;
    if (exchange === undefined) return undefined;
    this.first = exchange.next;
    if (this.first === undefined) this.#last = undefined;
    exchange.next = this.#free;
    this.#free = exchange;
    this.length--;
    return exchange;
  }
}
