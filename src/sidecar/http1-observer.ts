// Reads along an HTTP/1 connection: hands request bytes on with trace headers inserted, pairs responses with requests.
import { BodyReader } from '../wire/http1/body-reader.ts';
import { Framing } from '../wire/http1/framing.ts';
import { HeadScanner } from '../wire/http1/head-scanner.ts';
import { latin1 } from '../wire/http1/latin1.ts';
import { nowMs } from './clock.ts';
import { type Exchange, ExchangeQueue, type ResponseFlag } from './exchange.ts';
import { HeldHead } from './held-head.ts';
import { ResponseReader } from './http1-responses.ts';
import type { Protocol } from './stats.ts';
import type { TracedConnection, Tracer } from './tracer.ts';

/** Where request bytes go. A string is latin1: one character a byte. Bytes are valid during the call only. */
export interface ByteSink {
  write(data: Buffer | string): void;
}

/** What the observer tells the connection it reads along. */
export interface ObserverEvents {
  /** The first bytes said what the connection speaks. */
  detected(protocol: Protocol): void;
  /** Nothing more will be read here: bytes pass unread from now on. */
  degraded(reason: string): void;
  /** An exception of ours was caught. */
  faulted(error: unknown): void;
}

/** Up to here a piece goes as text; what follows a head in the same chunk joins it in one write, whatever its size. */
const maxJoinedBytes = 16 << 10;
/** More requests than this waiting for answers on one connection are no client's pipelining. */
const maxPipelined = 1024;

const Mode = {
  /** At or in a request head. */
  head: 0,
  body: 1,
  /** Request bytes pass unread: behind `Connection: close`, or behind a CONNECT not yet answered. */
  unread: 2,
  /** Both directions pass unread. */
  opaque: 3,
} as const;

export class Http1Observer {
  readonly queue = new ExchangeQueue();
  readonly #tracer: Tracer;
  readonly #connection: TracedConnection;
  readonly #toServer: ByteSink;
  readonly #events: ObserverEvents;
  readonly #scanner: HeadScanner;
  readonly #framing = new Framing();
  readonly #body = new BodyReader();
  readonly #held = new HeldHead();
  readonly #responses: ResponseReader;
  #mode: number = Mode.head;
  #known = false;
  /** The exchange whose request is being read. */
  #requesting: Exchange | undefined;
  /** The exchange whose upgrade or CONNECT made the connection a tunnel: its span lasts as long as the connection. */
  #tunnel: Exchange | undefined;
  #connectPending = false;
  /** No request follows the one being read: what comes behind it gets no span (R7). */
  #lastRequest = false;
  /** What goes to the server at the end of this chunk, in one write. */
  #pending = '';
  /** Bytes of the current chunk that have been written, are pending, or are held. */
  #committed = 0;
  requests = 0;

  constructor(tracer: Tracer, connection: TracedConnection, toServer: ByteSink, events: ObserverEvents) {
    this.#tracer = tracer;
    this.#connection = connection;
    this.#toServer = toServer;
    this.#events = events;
    this.#scanner = new HeadScanner('request', tracer.fieldNames);
    this.#responses = new ResponseReader({
      pending: () => this.#awaitingResponse(),
      ended: (exchange) => this.#responseEnded(exchange),
      unsolicited: () => {
        tracer.stats.unsolicitedResponses++;
      },
      tunnel: (exchange) => this.#becomeTunnel(exchange),
      connectRefused: () => this.#connectRefused(),
      doubt: (reason) => this.#degrade(reason, 'UPE'),
    });
  }

  get opaque(): boolean {
    return this.#mode === Mode.opaque;
  }

  /** The server has begun to answer a request whose body is still on its way. */
  get hasEarlyAnswer(): boolean {
    const first = this.queue.first;
    return first !== undefined && first.status !== 0 && !first.requestDone;
  }

  /** Takes bytes from the client, valid during this call only; each goes to the server, with our lines in between. */
  clientData(chunk: Buffer, length: number): void {
    if (this.#mode >= Mode.unread) {
      if (this.#tunnel !== undefined) this.#tunnel.requestBytes += length;
      this.#connectPending = false;
      this.#toServer.write(length === chunk.length ? chunk : chunk.subarray(0, length));
      return;
    }
    this.#committed = 0;
    try {
      while (this.#committed < length && this.#mode < Mode.unread) {
        if (this.#mode === Mode.head) this.#readHead(chunk, this.#committed, length);
        else this.#readBody(chunk, this.#committed, length);
      }
    } catch (error) {
      this.#fault(error);
    }
    if (this.#committed < length) {
      this.#connectPending = false;
      this.#pass(chunk, this.#committed, length);
    }
    this.#flush();
  }

  /** The client has closed its side: what is held of a head goes on as it is. */
  clientEnded(): void {
    this.#flushHeld();
    this.#flush();
    if (this.#mode < Mode.unread) this.#mode = Mode.unread;
  }

  /** Reads bytes that came from the server: `bytes[0..length)`, already forwarded, valid during this call only. */
  serverData(bytes: Buffer, length: number): void {
    if (this.#mode === Mode.opaque) {
      if (this.#tunnel !== undefined) this.#tunnel.responseBytes += length;
      return;
    }
    try {
      this.#responses.read(bytes, length);
    } catch (error) {
      this.#fault(error);
    }
    // A doubt in a response lets go of what was held of the next request.
    this.#flush();
  }

  /** The connection is over: the spans still open end with what ended it. */
  finish(cause: { readonly flag: ResponseFlag; readonly errorType: string }): void {
    try {
      this.#mode = Mode.opaque;
      for (let exchange = this.queue.first; exchange !== undefined; exchange = this.queue.first) {
        if (!exchange.responseDone && exchange !== this.#tunnel) blame(exchange, cause.flag, cause.errorType);
        this.#close();
      }
    } catch (error) {
      this.#fault(error);
    }
  }

  /** The server has closed its side: a response that lasts until then is complete, any other will not come any more. */
  serverEnded(): void {
    if (this.#mode === Mode.opaque) return;
    try {
      this.#responses.serverClosed();
      for (let exchange = this.queue.first; exchange?.responseDone === false; exchange = this.queue.first) {
        blame(exchange, 'UC', '');
        if (exchange === this.#requesting) this.#mode = Mode.unread;
        this.#close();
      }
    } catch (error) {
      this.#fault(error);
    }
  }

  /** Queues `chunk[from..to)` for the server. */
  #pass(chunk: Buffer, from: number, to: number): void {
    if (this.#pending !== '' || to - from <= maxJoinedBytes) {
      this.#pending += latin1(chunk, from, to);
      return;
    }
    this.#toServer.write(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }

  #flush(): void {
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#toServer.write(text);
  }

  #readBody(chunk: Buffer, at: number, end: number): void {
    const next = this.#body.read(chunk, at, end);
    if (this.#body.failed) {
      this.#degrade('bad_request_body', 'DPE');
      return;
    }
    this.#requesting!.requestBytes = this.#body.payloadBytes;
    this.#committed = next;
    this.#pass(chunk, at, next);
    if (this.#body.done) this.#requestEnded();
  }

  /** Reads on in a head. The request line passes as it comes; what follows it is held until the head is complete. */
  #readHead(chunk: Buffer, at: number, end: number): void {
    const held = this.#held;
    const scanner = this.#scanner;
    if (held.length === 0) {
      const headEnd = scanner.scan(chunk, at, end);
      if (headEnd > 0) {
        const rest = this.#openExchange(latin1(chunk, at, headEnd), 0);
        if (rest === undefined) return;
        this.#pending += rest;
        this.#committed = headEnd;
        return;
      }
      if (headEnd < 0) {
        this.#doubtfulHead(chunk, at, end);
        return;
      }
    }
    const before = held.length;
    held.append(chunk, at, end);
    this.#committed = end;
    const headEnd = before === 0 ? 0 : scanner.scan(held.bytes, 0, held.length);
    if (headEnd < 0) {
      this.#doubtfulHead(held.bytes, 0, held.length);
      return;
    }
    if (headEnd === 0) {
      if (!scanner.pastStartLine) this.#flushHeld();
      return;
    }
    const rest = this.#openExchange(latin1(held.bytes, 0, headEnd), held.forwarded);
    if (rest === undefined) return;
    this.#pending += rest;
    held.clear();
    this.#committed = at + headEnd - before;
  }

  /** Opens the exchange of a complete head; undefined when its framing is in doubt (then nothing was opened). */
  #openExchange(text: string, from: number): string | undefined {
    const head = this.#scanner;
    const framing = this.#framing;
    if (!this.#known) this.#detected('http1');
    framing.readFrom(head, text);
    const isConnect = text.startsWith('CONNECT ', head.methodStart);
    if (isConnect && (framing.contentLength > 0 || framing.chunked)) framing.doubt ??= 'connect_with_body';
    if (framing.doubt !== undefined) {
      this.#degrade(framing.doubt, 'DPE');
      return undefined;
    }
    if (this.queue.length >= maxPipelined) {
      this.#degrade('too_many_pipelined', 'DPE');
      return undefined;
    }
    const exchange = this.queue.push();
    exchange.startMs = nowMs();
    exchange.upgradeAsked = framing.hasUpgrade && framing.connectionUpgrade;
    const rest = this.#tracer.open(exchange, head, text, from, this.#connection);
    this.requests++;
    this.#requesting = exchange;
    this.#startBody(isConnect, framing.closes(head.minorVersion));
    head.reset();
    return rest;
  }

  #startBody(isConnect: boolean, closes: boolean): void {
    const framing = this.#framing;
    if (framing.chunked) this.#body.startChunked();
    else this.#body.startLength(Math.max(0, framing.contentLength));
    this.#mode = Mode.body;
    this.#lastRequest = closes;
    if (isConnect) this.#connectPending = true;
    if (this.#body.done) this.#requestEnded();
  }

  #requestEnded(): void {
    const exchange = this.#requesting!;
    this.#requesting = undefined;
    exchange.requestDone = true;
    this.#mode = this.#lastRequest || this.#connectPending ? Mode.unread : Mode.head;
    if (exchange.responseDone) this.#close();
  }

  #responseEnded(exchange: Exchange): void {
    exchange.responseDone = true;
    // An early answer keeps its place until the request has ended too (R7).
    if (exchange.requestDone) this.#close();
  }

  #awaitingResponse(): Exchange | undefined {
    const first = this.queue.first;
    return first === undefined || first.responseDone ? undefined : first;
  }

  #becomeTunnel(exchange: Exchange): void {
    this.#tunnel = exchange;
    exchange.requestDone = true;
    this.#mode = Mode.opaque;
    this.#flushHeld();
  }

  /** CONNECT was refused: unless bytes have followed it already, the next request may come. */
  #connectRefused(): void {
    if (this.#connectPending && this.#mode === Mode.unread) this.#mode = Mode.head;
    this.#connectPending = false;
  }

  #close(): void {
    const exchange = this.queue.shift();
    if (exchange !== undefined) this.#tracer.close(exchange, this.#connection);
  }

  #detected(protocol: Protocol): void {
    this.#known = true;
    this.#events.detected(protocol);
  }

  /** The first line was no request line: another protocol when the connection begins with it, else a doubt. */
  #doubtfulHead(bytes: Uint8Array, at: number, end: number): void {
    if (this.#known || (this.#scanner.doubt !== 'not_http' && !isHttp2Preface(bytes, at, end))) {
      this.#degrade(this.#scanner.doubt, 'DPE');
      return;
    }
    const isTls = bytes[at] === 0x16 && (end - at === 1 || bytes[at + 1] === 0x03);
    this.#detected(isTls ? 'tls' : isHttp2Preface(bytes, at, end) ? 'http2' : 'opaque');
    this.#mode = Mode.opaque;
    this.#flushHeld();
  }

  #degrade(reason: string, flag: ResponseFlag): void {
    if (!this.#known) this.#detected('http1');
    this.#mode = Mode.opaque;
    this.#flushHeld();
    this.#endOpenSpans(reason, flag);
    this.#events.degraded(reason);
  }

  #endOpenSpans(reason: string, flag: ResponseFlag): void {
    for (let exchange = this.queue.first; exchange !== undefined; exchange = this.queue.first) {
      exchange.responseFlag = flag;
      exchange.errorType = reason;
      this.#close();
    }
  }

  /** R5: an exception of ours makes the connection opaque; no byte is lost or sent twice. */
  #fault(error: unknown): void {
    this.#mode = Mode.opaque;
    this.#flushHeld();
    this.#events.faulted(error);
    this.#events.degraded('observer_error');
    try {
      this.#endOpenSpans('observer_error', '-');
    } catch {
      // The fault may be in closing spans itself; traffic goes on all the same.
    }
  }

  #flushHeld(): void {
    this.#pending += this.#held.take();
    if (this.#mode === Mode.opaque) this.#held.clear();
  }
}

function blame(exchange: Exchange, flag: ResponseFlag, errorType: string): void {
  exchange.responseFlag = flag;
  exchange.errorType = errorType || (exchange.status === 0 ? 'no_response' : 'response_incomplete');
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n');

function isHttp2Preface(bytes: Uint8Array, at: number, end: number): boolean {
  for (let i = 0; i < preface.length && at + i < end; i++) if (bytes[at + i] !== preface[i]) return false;
  return true;
}
