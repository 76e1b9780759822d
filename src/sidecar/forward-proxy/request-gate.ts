// The client's side of a proxied connection: finds requests, and lets each begin only when it may.
import { BodyReader } from '../../wire/http1/body-reader.ts';
import { Framing } from '../../wire/http1/framing.ts';
import { HeadScanner } from '../../wire/http1/head-scanner.ts';
import { latin1 } from '../../wire/http1/latin1.ts';
import { HeldHead } from '../held-head.ts';
import { requestFieldNames } from './heads.ts';

/** What the gate asks and tells. */
export interface RequestGateEvents {
  /**
   * A head is complete (`text`, as latin1). False when the request must wait: it is offered again by `retry`.
   * A doubt about its framing is in `framing`.
   */
  mayBegin(head: HeadScanner, framing: Framing, text: string): boolean;
  /** A piece of the body of the request that has begun, chunk framing included. */
  body(bytes: Buffer, from: number, to: number): void;
  /** The request has ended, its body included. */
  ended(): void;
  /** The body's framing is broken: nothing more will be read. */
  bodyBroken(): void;
  /** What came is no request: nothing more will be read. */
  doubt(reason: string): void;
}

const Mode = {
  head: 0,
  /** A complete head waits until it may begin. */
  offered: 1,
  body: 2,
  /** What comes next is perhaps not HTTP: behind an Upgrade or a CONNECT. */
  barrier: 3,
  /** No request follows: behind `Connection: close`, or a doubt. */
  over: 4,
} as const;

export class RequestGate {
  readonly #events: RequestGateEvents;
  readonly #scanner: HeadScanner;
  readonly #framing = new Framing();
  readonly #body = new BodyReader();
  readonly #held = new HeldHead();
  #mode: number = Mode.head;
  #offered = '';
  #afterwards: number = Mode.head;

  constructor(maxHeadBytes: number, events: RequestGateEvents) {
    this.#scanner = new HeadScanner('request', requestFieldNames, maxHeadBytes);
    this.#events = events;
  }

  /** Whether what comes behind the last request waits for its answer. */
  get atBarrier(): boolean {
    return this.#mode === Mode.barrier;
  }

  get over(): boolean {
    return this.#mode === Mode.over;
  }

  /** Whether a complete head waits for its turn. */
  get waiting(): boolean {
    return this.#mode === Mode.offered;
  }

  /** Whether a head has begun to come and is not complete; an empty line before it is not yet one. */
  get inHead(): boolean {
    return this.#mode === Mode.head && this.#held.length > 2;
  }

  /** The answer to an Upgrade or a CONNECT was no: HTTP goes on. */
  liftBarrier(): void {
    if (this.#mode === Mode.barrier) this.#mode = Mode.head;
  }

  /** Nothing more is read. */
  stop(): void {
    this.#mode = Mode.over;
    this.#offered = '';
    this.#held.clear();
  }

  /** Offers the waiting request again; false when it still must wait. */
  retry(): boolean {
    if (this.#mode !== Mode.offered) return this.#mode !== Mode.barrier;
    if (!this.#events.mayBegin(this.#scanner, this.#framing, this.#offered)) return false;
    this.#begin();
    return true;
  }

  /** Reads `bytes[from..to)` as far as it may; returns where it stopped. */
  read(bytes: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to) {
      if (this.#mode === Mode.head) at = this.#readHead(bytes, at, to);
      else if (this.#mode === Mode.body) at = this.#readBody(bytes, at, to);
      else if (this.#mode === Mode.over) return to;
      else return at;
    }
    return at;
  }

  #readHead(bytes: Buffer, at: number, to: number): number {
    const held = this.#held;
    const scanner = this.#scanner;
    const before = held.length;
    if (before > 0) held.append(bytes, at, to);
    const end = before > 0 ? scanner.scan(held.bytes, 0, held.length) : scanner.scan(bytes, at, to);
    if (end < 0) {
      this.#doubt(scanner.doubt);
      return to;
    }
    if (end === 0) {
      if (before === 0) held.append(bytes, at, to);
      return to;
    }
    const source = before > 0 ? held.bytes : bytes;
    const base = before > 0 ? 0 : at;
    this.#framing.readFrom(scanner, source, base);
    this.#offered = latin1(source, base, end);
    const next = before > 0 ? at + end - before : end;
    held.clear();
    this.#mode = Mode.offered;
    this.retry();
    return next;
  }

  /** The request has begun: unless it was refused meanwhile, its body comes next. */
  #begin(): void {
    const framing = this.#framing;
    const isConnect = this.#offered.startsWith('CONNECT ', this.#scanner.methodStart);
    if (framing.chunked) this.#body.startChunked();
    else this.#body.startLength(Math.max(0, framing.contentLength));
    const turnsOver = isConnect || (framing.hasUpgrade && framing.connectionUpgrade);
    this.#afterwards = turnsOver ? Mode.barrier : framing.closes(this.#scanner.minorVersion) ? Mode.over : Mode.head;
    this.#scanner.reset();
    this.#offered = '';
    if (this.over) return;
    this.#mode = Mode.body;
    if (this.#body.done) this.#ended();
  }

  #readBody(bytes: Buffer, at: number, to: number): number {
    const next = this.#body.read(bytes, at, to);
    if (next > at) this.#events.body(bytes, at, next);
    if (this.#body.failed) {
      this.#mode = Mode.over;
      this.#events.bodyBroken();
      return to;
    }
    if (this.#body.done) this.#ended();
    return next;
  }

  #ended(): void {
    this.#mode = this.#afterwards;
    this.#events.ended();
  }

  #doubt(reason: string): void {
    this.stop();
    this.#events.doubt(reason);
  }
}
