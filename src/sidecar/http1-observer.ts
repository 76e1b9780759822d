// Reads along an HTTP/1 connection: joins its requests and responses to exchanges, and gives up cleanly when in doubt.
import type { PayloadReader } from '../wire/http1/body-reader.ts';
import type { Framing } from '../wire/http1/framing.ts';
import type { HeadScanner } from '../wire/http1/head-scanner.ts';
import { nowMs } from './clock.ts';
import { SlowHeadWatch } from './connection-guards.ts';
import type { ConnectionEnd, ConnectionObserver } from './connection-observer.ts';
import type { ObservedConnection } from './detection.ts';
import { eventStreamReader } from './event-stream.ts';
import { type Exchange, ExchangeQueue, type ResponseFlag } from './exchange.ts';
import { type RequestEvents, RequestReader } from './http1-requests.ts';
import { type ResponseEvents, ResponseReader } from './http1-responses.ts';
import { OpaqueObserver } from './opaque-observer.ts';
import type { Tracer } from './tracer.ts';
import { Tunnel } from './tunnel.ts';

/** More requests than this waiting for answers on one connection are no client's pipelining. */
const maxPipelined = 1024;

export class Http1Observer implements ConnectionObserver, RequestEvents, ResponseEvents {
  readonly queue = new ExchangeQueue();
  readonly #tracer: Tracer;
  readonly #connection: ObservedConnection;
  readonly #requests: RequestReader;
  readonly #responses: ResponseReader;
  /** The first bytes have told the protocol. */
  #known = false;
  /** Both directions pass unread, for good. */
  #opaque = false;
  /** The exchange whose request is being read. */
  #requesting: Exchange | undefined;
  /** An upgrade or CONNECT made the connection a tunnel: the span of that exchange lasts as long as the connection. */
  #tunnel: Tunnel | undefined;
  /** `--strict` has refused what came: nothing more is read or passed on. */
  #refused = false;
  #refusalStatus = 0;
  readonly #slowHead = new SlowHeadWatch();
  /** Requests at the last sweep, and whether what an idle connection can do without has gone. */
  #sweptRequests = -1;
  #rested = false;
  requests = 0;

  constructor(tracer: Tracer, connection: ObservedConnection) {
    this.#tracer = tracer;
    this.#connection = connection;
    this.#requests = new RequestReader(tracer.requestScanners, connection, this);
    this.#responses = new ResponseReader(tracer.responseScanners, this);
  }

  get requestsOpen(): number {
    return this.queue.length;
  }

  get hasEarlyAnswer(): boolean {
    const first = this.queue.first;
    return first !== undefined && first.status !== 0 && !first.requestDone;
  }

  /** Bytes, fewer than a request line has, that went to the server before this observer was there. */
  forwarded(bytes: Buffer): void {
    try {
      this.#requests.forwarded(bytes);
    } catch (error) {
      this.#fault(error);
    }
  }

  /** Each byte goes on, with our lines between. */
  clientData(chunk: Buffer, length: number): void {
    const requests = this.#requests;
    if (requests.unread) {
      if (this.#refused) return;
      if (this.#tunnel !== undefined) this.#inTunnel((tunnel) => tunnel.clientData(chunk, length));
      requests.pass(chunk, length);
      return;
    }
    try {
      requests.read(chunk, length);
    } catch (error) {
      this.#fault(error);
    }
    if (!this.#refused) requests.passRest(chunk, length);
  }

  /** What is held of a head goes on as it is. */
  clientEnded(): void {
    if (this.#refused) return;
    try {
      this.#requests.stop();
    } catch (error) {
      this.#fault(error);
    }
    this.#requests.flush();
  }

  serverData(bytes: Buffer, length: number): void {
    if (this.#opaque) {
      if (this.#tunnel !== undefined) this.#inTunnel((tunnel) => tunnel.serverData(bytes, 0, length));
      return;
    }
    try {
      const end = this.#responses.read(bytes, length);
      // What lies behind the answer that made the connection a tunnel.
      if (end < length) this.#tunnel?.serverData(bytes, end, length);
      const first = this.queue.first;
      // An answer that goes on after its first read: when it began is worth an event.
      if (first !== undefined && first.firstByteMs === 0 && first.status !== 0) first.firstByteMs = nowMs();
    } catch (error) {
      this.#fault(error);
    }
    // A doubt in a response lets go of what was held of the next request.
    if (!this.#refused) this.#requests.flush();
  }

  /** A response that lasts until the server closes is complete, any other will not come any more. */
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

  sweep(now: number): void {
    try {
      this.#sweepHead(now);
      this.#sweepMemory();
      for (let exchange = this.queue.first; exchange !== undefined; exchange = exchange.next) {
        this.#tracer.continue(exchange, this.#connection, now);
      }
    } catch (error) {
      this.#fault(error);
    }
  }

  finish(end: ConnectionEnd): void {
    try {
      this.#opaque = true;
      for (let exchange = this.queue.first; exchange !== undefined; exchange = this.queue.first) {
        if (!exchange.responseDone && (exchange !== this.#tunnel?.exchange || end.errorType === 'idle_timeout')) {
          blame(exchange, end.flag, end.errorType);
        }
        this.#close();
      }
    } catch (error) {
      this.#fault(error);
    }
    try {
      this.#requests.release();
      this.#responses.release();
    } catch (error) {
      this.#fault(error);
    }
  }

  /** A head that has been on its way for too long passes unread: what to make of it is the server's business. */
  #sweepHead(now: number): void {
    const { headTimeoutMs } = this.#tracer.limits;
    if (!this.#slowHead.isTooSlow(this.#requests.inHead, this.requests, now, headTimeoutMs)) return;
    this.requestDoubt('head_timeout');
    if (!this.#refused) this.#requests.flush();
  }

  /** A connection without a request since the last look keeps nothing that the next one can make again. */
  #sweepMemory(): void {
    const isIdle = this.queue.length === 0 && this.#sweptRequests === this.requests;
    this.#sweptRequests = this.requests;
    if (!isIdle || this.#rested) return;
    this.#rested = true;
    this.queue.trim();
    this.#connection.rested();
  }

  // What the readers ask and tell.

  requestOpened(head: HeadScanner, framing: Framing, text: string, from: number): string | undefined {
    if (!this.#known) this.#detected();
    if (this.queue.length >= maxPipelined) {
      this.#degrade('too_many_pipelined', 'DPE');
      return undefined;
    }
    const exchange = this.queue.push();
    exchange.startMs = nowMs();
    exchange.upgradeAsked = framing.hasUpgrade && framing.connectionUpgrade;
    exchange.webSocketAsked = exchange.upgradeAsked && /\r\nupgrade:[ \t]*websocket[ \t]*\r\n/i.test(text);
    this.#requesting = exchange;
    this.#rested = false;
    this.requests++;
    return this.#tracer.open(exchange, head, text, from, this.#connection);
  }

  requestBodyRead(payloadBytes: number): void {
    this.#requesting!.requestBytes = payloadBytes;
  }

  requestEnded(): void {
    const exchange = this.#requesting!;
    this.#requesting = undefined;
    exchange.requestDone = true;
    if (exchange.responseDone) this.#close();
  }

  awaitingResponse(): Exchange | undefined {
    const first = this.queue.first;
    return first === undefined || first.responseDone ? undefined : first;
  }

  unsolicitedResponse(): void {
    this.#tracer.stats.unsolicitedResponses++;
  }

  switchRefused(): void {
    this.#requests.switchRefused();
  }

  eventStream(exchange: Exchange): PayloadReader {
    return eventStreamReader(exchange);
  }

  responseDoubt(reason: string): void {
    this.#degrade(reason, 'UPE');
  }

  responseEnded(exchange: Exchange): void {
    exchange.responseDone = true;
    // An early answer keeps its place until the request has ended too (R7).
    if (exchange.requestDone) this.#close();
  }

  becameTunnel(exchange: Exchange): void {
    this.#tunnel = new Tunnel(exchange);
    exchange.requestDone = true;
    this.#turnOpaque();
  }

  /** A fault in here costs the numbers, not the span. */
  #inTunnel(count: (tunnel: Tunnel) => void): void {
    if (this.#tunnel === undefined) return;
    try {
      count(this.#tunnel);
    } catch (error) {
      this.#tunnel = undefined;
      this.#connection.faulted(error);
      this.#connection.degraded('observer_error');
    }
  }

  #close(): void {
    const exchange = this.queue.shift();
    if (exchange === this.#requesting) this.#requesting = undefined;
    if (exchange !== undefined) this.#tracer.close(exchange, this.#connection);
    if (this.#refused) this.#answerRefusal();
  }

  #detected(): void {
    this.#known = true;
    this.#connection.detected('http1');
  }

  /** The first line is nobody's request line: another protocol when the connection begins with it, else a doubt. */
  notHttp(): void {
    if (this.#known) {
      this.requestDoubt('not_http');
      return;
    }
    this.#turnOpaque();
    this.#connection.observe(new OpaqueObserver('opaque', this.#tracer, this.#connection));
  }

  requestDoubt(reason: string): void {
    if (!this.#tracer.limits.strict) {
      this.#degrade(reason, 'DPE');
      return;
    }
    if (!this.#known) this.#detected();
    this.#refused = true;
    this.#refusalStatus = reason === 'head_timeout' ? 408 : 400;
    this.#requests.drop();
    this.#connection.refused(reason);
    if (this.#requesting !== undefined) blame(this.#requesting, 'DPE', reason);
    this.#answerRefusal();
  }

  /** The refusal is answered in its turn: when every request before it has been, and only if nobody answered it yet. */
  #answerRefusal(): void {
    const first = this.queue.first;
    if (this.#refusalStatus === 0 || (first !== undefined && first !== this.#requesting)) return;
    const status = this.#refusalStatus;
    this.#refusalStatus = 0;
    if (first === undefined || first.status === 0) this.#connection.answerRefusal(status);
    else this.#connection.destroy();
    if (first === undefined) return;
    if (first.status === 0) first.status = status;
    this.#close();
  }

  #turnOpaque(): void {
    this.#opaque = true;
    this.#requests.stop();
  }

  #degrade(reason: string, flag: ResponseFlag): void {
    if (!this.#known) this.#detected();
    this.#turnOpaque();
    this.#endOpenSpans(reason, flag);
    this.#connection.degraded(reason);
  }

  #endOpenSpans(reason: string, flag: ResponseFlag): void {
    for (let exchange = this.queue.first; exchange !== undefined; exchange = this.queue.first) {
      blame(exchange, flag, reason);
      this.#close();
    }
  }

  /**
   * R5: an exception of ours makes the connection opaque; no byte is lost or sent twice. What throws here again throws
   * on: the connection has a last resort.
   */
  #fault(error: unknown): void {
    this.#opaque = true;
    try {
      this.#requests.stop();
    } catch {
      // It may have failed by what failed before; a second attempt goes on where the first one ended.
      this.#requests.stop();
    }
    this.#connection.faulted(error);
    this.#connection.degraded('observer_error');
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
