// Reads along an HTTP/1 connection: joins its requests and responses to exchanges, and gives up cleanly when in doubt.
import type { Framing } from '../wire/http1/framing.ts';
import type { HeadScanner } from '../wire/http1/head-scanner.ts';
import { nowMs } from './clock.ts';
import { type Exchange, ExchangeQueue, type ResponseFlag } from './exchange.ts';
import { type ByteSink, isHttp2Preface, RequestReader } from './http1-requests.ts';
import { ResponseReader } from './http1-responses.ts';
import type { Protocol } from './stats.ts';
import type { TracedConnection, Tracer } from './tracer.ts';

/** What the observer tells the connection it reads along. */
export interface ObserverEvents {
  /** The first bytes said what the connection speaks. */
  detected(protocol: Protocol): void;
  /** Nothing more will be read here: bytes pass unread from now on. */
  degraded(reason: string): void;
  /** An exception of ours was caught. */
  faulted(error: unknown): void;
}

/** More requests than this waiting for answers on one connection are no client's pipelining. */
const maxPipelined = 1024;

export class Http1Observer {
  readonly queue = new ExchangeQueue();
  readonly #tracer: Tracer;
  readonly #connection: TracedConnection;
  readonly #events: ObserverEvents;
  readonly #requests: RequestReader;
  readonly #responses: ResponseReader;
  /** The first bytes have told the protocol. */
  #known = false;
  /** Both directions pass unread, for good. */
  #opaque = false;
  /** The exchange whose request is being read. */
  #requesting: Exchange | undefined;
  /** The exchange whose upgrade or CONNECT made the connection a tunnel: its span lasts as long as the connection. */
  #tunnel: Exchange | undefined;
  /** Requests opened on this connection. */
  requests = 0;

  constructor(tracer: Tracer, connection: TracedConnection, toServer: ByteSink, events: ObserverEvents) {
    this.#tracer = tracer;
    this.#connection = connection;
    this.#events = events;
    this.#requests = new RequestReader(tracer.fieldNames, toServer, {
      opened: (head, framing, text, from) => this.#open(head, framing, text, from),
      bodyRead: (payloadBytes) => {
        this.#requesting!.requestBytes = payloadBytes;
      },
      ended: () => this.#requestEnded(),
      notHttp: (bytes, at, end) => this.#notHttp(bytes, at, end),
      doubt: (reason) => this.#degrade(reason, 'DPE'),
    });
    this.#responses = new ResponseReader({
      pending: () => this.#awaitingResponse(),
      ended: (exchange) => this.#responseEnded(exchange),
      unsolicited: () => {
        tracer.stats.unsolicitedResponses++;
      },
      tunnel: (exchange) => this.#becomeTunnel(exchange),
      connectRefused: () => this.#requests.connectRefused(),
      doubt: (reason) => this.#degrade(reason, 'UPE'),
    });
  }

  /** The server has begun to answer a request whose body is still on its way. */
  get hasEarlyAnswer(): boolean {
    const first = this.queue.first;
    return first !== undefined && first.status !== 0 && !first.requestDone;
  }

  /** Takes `chunk[0..length)` from the client, valid during this call only; each byte goes on, with our lines between. */
  clientData(chunk: Buffer, length: number): void {
    const requests = this.#requests;
    if (requests.unread) {
      if (this.#tunnel !== undefined) this.#tunnel.requestBytes += length;
      requests.pass(chunk, length);
      return;
    }
    try {
      requests.read(chunk, length);
    } catch (error) {
      this.#fault(error);
    }
    requests.passRest(chunk, length);
  }

  /** The client has closed its side: what is held of a head goes on as it is. */
  clientEnded(): void {
    this.#requests.stop();
    this.#requests.flush();
  }

  /** Reads bytes that came from the server: `bytes[0..length)`, already forwarded, valid during this call only. */
  serverData(bytes: Buffer, length: number): void {
    if (this.#opaque) {
      if (this.#tunnel !== undefined) this.#tunnel.responseBytes += length;
      return;
    }
    try {
      this.#responses.read(bytes, length);
    } catch (error) {
      this.#fault(error);
    }
    // A doubt in a response lets go of what was held of the next request.
    this.#requests.flush();
  }

  /** The server has closed its side: a response that lasts until then is complete, any other will not come any more. */
  serverEnded(): void {
    if (this.#opaque) return;
    try {
      this.#responses.serverClosed();
      for (let exchange = this.queue.first; exchange?.responseDone === false; exchange = this.queue.first) {
        blame(exchange, 'UC', '');
        if (exchange === this.#requesting) this.#requests.stop();
        this.#close();
      }
    } catch (error) {
      this.#fault(error);
    }
  }

  /** The connection is over: the spans still open end with what ended it. */
  finish(cause: { readonly flag: ResponseFlag; readonly errorType: string }): void {
    try {
      this.#opaque = true;
      for (let exchange = this.queue.first; exchange !== undefined; exchange = this.queue.first) {
        if (!exchange.responseDone && exchange !== this.#tunnel) blame(exchange, cause.flag, cause.errorType);
        this.#close();
      }
    } catch (error) {
      this.#fault(error);
    }
  }

  #open(head: HeadScanner, framing: Framing, text: string, from: number): string | undefined {
    if (!this.#known) this.#detected('http1');
    if (this.queue.length >= maxPipelined) {
      this.#degrade('too_many_pipelined', 'DPE');
      return undefined;
    }
    const exchange = this.queue.push();
    exchange.startMs = nowMs();
    exchange.upgradeAsked = framing.hasUpgrade && framing.connectionUpgrade;
    this.#requesting = exchange;
    this.requests++;
    return this.#tracer.open(exchange, head, text, from, this.#connection);
  }

  #requestEnded(): void {
    const exchange = this.#requesting!;
    this.#requesting = undefined;
    exchange.requestDone = true;
    if (exchange.responseDone) this.#close();
  }

  #awaitingResponse(): Exchange | undefined {
    const first = this.queue.first;
    return first === undefined || first.responseDone ? undefined : first;
  }

  #responseEnded(exchange: Exchange): void {
    exchange.responseDone = true;
    // An early answer keeps its place until the request has ended too (R7).
    if (exchange.requestDone) this.#close();
  }

  #becomeTunnel(exchange: Exchange): void {
    this.#tunnel = exchange;
    exchange.requestDone = true;
    this.#turnOpaque();
  }

  #close(): void {
    const exchange = this.queue.shift();
    if (exchange !== undefined) this.#tracer.close(exchange, this.#connection);
  }

  #detected(protocol: Protocol): void {
    this.#known = true;
    this.#events.detected(protocol);
  }

  /** Another protocol when the connection begins with it, else a doubt. */
  #notHttp(bytes: Uint8Array, at: number, end: number): void {
    if (this.#known) {
      this.#degrade('not_http', 'DPE');
      return;
    }
    const isTls = bytes[at] === 0x16 && (end - at === 1 || bytes[at + 1] === 0x03);
    this.#detected(isTls ? 'tls' : isHttp2Preface(bytes, at, end) ? 'http2' : 'opaque');
    this.#turnOpaque();
  }

  #turnOpaque(): void {
    this.#opaque = true;
    this.#requests.stop();
  }

  #degrade(reason: string, flag: ResponseFlag): void {
    if (!this.#known) this.#detected('http1');
    this.#turnOpaque();
    this.#endOpenSpans(reason, flag);
    this.#events.degraded(reason);
  }

  #endOpenSpans(reason: string, flag: ResponseFlag): void {
    for (let exchange = this.queue.first; exchange !== undefined; exchange = this.queue.first) {
      blame(exchange, flag, reason);
      this.#close();
    }
  }

  /** R5: an exception of ours makes the connection opaque; no byte is lost or sent twice. */
  #fault(error: unknown): void {
    this.#turnOpaque();
    this.#events.faulted(error);
    this.#events.degraded('observer_error');
    try {
      this.#endOpenSpans('observer_error', '-');
    } catch {
      // The fault may be in closing spans itself; traffic goes on all the same.
    }
  }
}

function blame(exchange: Exchange, flag: ResponseFlag, errorType: string): void {
  exchange.responseFlag = flag;
  exchange.errorType = errorType || (exchange.status === 0 ? 'no_response' : 'response_incomplete');
}
