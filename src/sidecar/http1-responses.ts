// The response side of an HTTP/1 connection: finds responses in the bytes and pairs them first in, first out (R7).
import { BodyReader, type PayloadReader } from '../wire/http1/body-reader.ts';
import { contentEncodingId, contentTypeId, Framing } from '../wire/http1/framing.ts';
import type { HeadScanner } from '../wire/http1/head-scanner.ts';
import type { Exchange } from './exchange.ts';
import { HeldHead } from './held-head.ts';
import type { ScannerPool } from './scanner-pool.ts';

/** What the reader asks and tells. */
export interface ResponseEvents {
  /** The first exchange still without a final response. */
  awaitingResponse(): Exchange | undefined;
  /** The response has ended, its body included. */
  responseEnded(exchange: Exchange): void;
  /** A response nobody asked for: no span. */
  unsolicitedResponse(): void;
  /** 101 to an upgrade, or 2xx to CONNECT: the connection is a tunnel from here on. */
  becameTunnel(exchange: Exchange): void;
  /** CONNECT or an upgrade got another answer: HTTP goes on. */
  switchRefused(): void;
  /** The body is `text/event-stream`: what is to read it along. */
  eventStream(exchange: Exchange): PayloadReader;
  /** The response's framing is in doubt. */
  responseDoubt(reason: string): void;
}

const Mode = { head: 0, body: 1, over: 2 } as const;

export class ResponseReader {
  readonly #events: ResponseEvents;
  readonly #scanners: ScannerPool;
  /** Lent while a head is being read. */
  #scanner: HeadScanner | undefined;
  readonly #body = new BodyReader();
  readonly #held = new HeldHead();
  #mode: number = Mode.head;
  /** The exchange being answered; undefined while an unsolicited response is read. */
  #exchange: Exchange | undefined;
  #closes = false;

  constructor(scanners: ScannerPool, events: ResponseEvents) {
    this.#scanners = scanners;
    this.#events = events;
  }

  /** Gives back what is lent. */
  release(): void {
    if (this.#scanner !== undefined) this.#scanners.give(this.#scanner);
    this.#scanner = undefined;
  }

  /** Reads `bytes[0..length)` and returns the index up to where they are HTTP/1. */
  read(bytes: Buffer, length: number): number {
    let at = 0;
    while (at < length && this.#mode !== Mode.over) {
      if (this.#mode === Mode.body) at = this.#readBody(bytes, at, length);
      else at = this.#readHead(bytes, at, length);
    }
    return at;
  }

  /** The server has closed its side: a body that lasts until then is complete. */
  serverClosed(): void {
    if (this.#mode !== Mode.body || !this.#body.untilClose) return;
    this.#mode = Mode.over;
    if (this.#exchange !== undefined) this.#events.responseEnded(this.#exchange);
  }

  #readBody(bytes: Buffer, at: number, length: number): number {
    const next = this.#body.read(bytes, at, length);
    if (this.#exchange !== undefined) this.#exchange.responseBytes = this.#body.payloadBytes;
    if (this.#body.failed) return this.#stop('bad_response_body', length);
    if (this.#body.done) this.#end();
    return next;
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const held = this.#held;
    this.#scanner ??= this.#scanners.take();
    const scanner = this.#scanner;
    if (held.length === 0) {
      const end = scanner.scan(bytes, at, length);
      if (end < 0) return this.#stop(scanner.doubt, length);
      if (end > 0) {
        this.#headComplete(scanner, bytes, at);
        return end;
      }
      held.append(bytes, at, length);
      return length;
    }
    const before = held.length;
    held.append(bytes, at, length);
    const end = scanner.scan(held.bytes, 0, held.length);
    if (end < 0) return this.#stop(scanner.doubt, length);
    if (end === 0) return length;
    this.#headComplete(scanner, held.bytes, 0);
    held.clear();
    return at + end - before;
  }

  #headComplete(scanner: HeadScanner, bytes: Buffer, base: number): void {
    const { statusCode: status, minorVersion } = scanner;
    const exchange = this.#events.awaitingResponse();
    framing.readFrom(scanner, bytes, base);
    // Streams of events have no length in their heads.
    const isEventStream = framing.contentLength < 0 && exchange !== undefined && saysEventStream(scanner, bytes, base);
    this.release();
    if (status < 200) this.#informational(status, exchange);
    else this.#final(status, minorVersion, exchange);
    if (isEventStream && !this.#body.done) this.#body.payload = this.#events.eventStream(exchange);
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
    this.#events.becameTunnel(exchange);
  }

  #final(status: number, minorVersion: number, exchange: Exchange | undefined): void {
    this.#exchange = exchange;
    if (exchange === undefined) this.#events.unsolicitedResponse();
    else {
      exchange.status = status;
      if (exchange.method === 'CONNECT') {
        if (status < 300) {
          this.#mode = Mode.over;
          this.#events.becameTunnel(exchange);
          return;
        }
        this.#events.switchRefused();
      } else if (exchange.upgradeAsked) this.#events.switchRefused();
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
    if (exchange !== undefined) this.#events.responseEnded(exchange);
  }

  #stop(reason: string, result: number): number {
    this.#mode = Mode.over;
    this.#events.responseDoubt(reason);
    return result;
  }
}

/** One for all: it is read and done with before the next head is looked at. */
const framing = new Framing();

/** Whether a scanned head's body is Server-Sent Events (WHATWG HTML section 9.2) that can be read: not compressed. */
function saysEventStream(scanner: HeadScanner, bytes: Buffer, base: number): boolean {
  const { fields, knownCount } = scanner;
  let found = false;
  for (let i = 0, at = 0; i < knownCount; i++, at += 5) {
    if (fields[at] === contentEncodingId) return false;
    if (fields[at] !== contentTypeId) continue;
    const value = bytes.latin1Slice(base + fields[at + 2]!, base + fields[at + 3]!).toLowerCase();
    found = value === 'text/event-stream' || value.startsWith('text/event-stream;');
  }
  return found;
}
