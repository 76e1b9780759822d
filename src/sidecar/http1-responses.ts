// The response side of an HTTP/1 connection: finds responses in the bytes and pairs them first in, first out (R7).
import { BodyReader } from '../wire/http1/body-reader.ts';
import { Framing, responseFieldNames } from '../wire/http1/framing.ts';
import { HeadScanner } from '../wire/http1/head-scanner.ts';
import type { Exchange } from './exchange.ts';
import { HeldHead } from './held-head.ts';

/** What the reader asks and tells. */
export interface ResponseEvents {
  /** The first exchange still without a final response. */
  pending(): Exchange | undefined;
  /** The response has ended, its body included. */
  ended(exchange: Exchange): void;
  /** A response nobody asked for: no span. */
  unsolicited(): void;
  /** 101 to an upgrade, or 2xx to CONNECT: the connection is a tunnel from here on. */
  tunnel(exchange: Exchange): void;
  /** CONNECT got another answer: HTTP goes on. */
  connectRefused(): void;
  /** The response's framing is in doubt. */
  doubt(reason: string): void;
}

const Mode = { head: 0, body: 1, over: 2 } as const;

export class ResponseReader {
  readonly #events: ResponseEvents;
  readonly #scanner = new HeadScanner('response', responseFieldNames);
  readonly #framing = new Framing();
  readonly #body = new BodyReader();
  readonly #held = new HeldHead();
  #mode: number = Mode.head;
  /** The exchange being answered; undefined while an unsolicited response is read. */
  #exchange: Exchange | undefined;
  #closes = false;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** Reads `bytes[0..length)`. */
  read(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length && this.#mode !== Mode.over) {
      if (this.#mode === Mode.body) at = this.#readBody(bytes, at, length);
      else at = this.#readHead(bytes, at, length);
    }
  }

  /** The server has closed its side: a body that lasts until then is complete. */
  serverClosed(): void {
    if (this.#mode !== Mode.body || !this.#body.untilClose) return;
    this.#mode = Mode.over;
    if (this.#exchange !== undefined) this.#events.ended(this.#exchange);
  }

  #readBody(bytes: Buffer, at: number, length: number): number {
    const next = this.#body.read(bytes, at, length);
    if (this.#body.failed) return this.#stop('bad_response_body', length);
    if (this.#exchange !== undefined) this.#exchange.responseBytes = this.#body.payloadBytes;
    if (this.#body.done) this.#end();
    return next;
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const held = this.#held;
    if (held.length === 0) {
      const end = this.#scanner.scan(bytes, at, length);
      if (end < 0) return this.#stop(this.#scanner.doubt, length);
      if (end > 0) {
        this.#headComplete(bytes, at);
        return end;
      }
      held.append(bytes, at, length);
      return length;
    }
    const before = held.length;
    held.append(bytes, at, length);
    const end = this.#scanner.scan(held.bytes, 0, held.length);
    if (end < 0) return this.#stop(this.#scanner.doubt, length);
    if (end === 0) return length;
    this.#headComplete(held.bytes, 0);
    held.clear();
    return at + end - before;
  }

  #headComplete(bytes: Buffer, base: number): void {
    const { statusCode: status, minorVersion } = this.#scanner;
    const exchange = this.#events.pending();
    this.#framing.readFrom(this.#scanner, bytes, base);
    this.#scanner.reset();
    if (status < 200) this.#informational(status, exchange);
    else this.#final(status, minorVersion, exchange);
  }

  /** 1xx does not answer a request; 101 turns the connection over, if that was asked for. */
  #informational(status: number, exchange: Exchange | undefined): void {
    if (status !== 101) return;
    if (exchange?.upgradeAsked !== true) {
      this.#stop('unexpected_101', 0);
      return;
    }
    exchange.status = status;
    this.#mode = Mode.over;
    this.#events.tunnel(exchange);
  }

  #final(status: number, minorVersion: number, exchange: Exchange | undefined): void {
    const framing = this.#framing;
    this.#exchange = exchange;
    if (exchange === undefined) this.#events.unsolicited();
    else {
      exchange.status = status;
      if (exchange.method === 'CONNECT') {
        if (status < 300) {
          this.#mode = Mode.over;
          this.#events.tunnel(exchange);
          return;
        }
        this.#events.connectRefused();
      }
    }
    if (framing.doubt !== undefined) {
      this.#stop(`response_${framing.doubt}`, 0);
      return;
    }
    this.#closes = framing.closes(minorVersion);
    if (exchange?.method === 'HEAD' || status === 204 || status === 304) this.#body.startNone();
    else if (framing.chunked) this.#body.startChunked();
    else if (framing.contentLength >= 0) this.#body.startLength(framing.contentLength);
    else this.#body.startUntilClose();
    this.#mode = Mode.body;
    if (this.#body.done) this.#end();
  }

  #end(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#mode = this.#closes ? Mode.over : Mode.head;
    if (exchange !== undefined) this.#events.ended(exchange);
  }

  #stop(reason: string, result: number): number {
    this.#mode = Mode.over;
    this.#events.doubt(reason);
    return result;
  }
}
