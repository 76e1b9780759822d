// The origin's side of a proxied connection: only answers to what was asked reach the client, each to its last byte.
import { BodyReader } from '../../wire/http1/body-reader.ts';
import { Framing } from '../../wire/http1/framing.ts';
import { HeadScanner } from '../../wire/http1/head-scanner.ts';
import { latin1 } from '../../wire/http1/latin1.ts';
import type { Exchange } from '../exchange.ts';
import { HeldHead } from '../held-head.ts';
import { mustChange, responseFieldNames, toClientHead } from './heads.ts';

/** What the gate asks and tells. */
export interface ResponseGateEvents {
  /** The first exchange still without a complete response. */
  pending(): Exchange | undefined;
  /** `bytes[from..to)` goes to the client; valid during the call only. Never more than the rest of one response. */
  pass(bytes: Buffer, from: number, to: number): void;
  /** Bytes nobody asked for: they would be read as the answer of the next request's server. */
  unsolicited(): void;
}

const Mode = { head: 0, body: 1, unread: 2 } as const;
const noBytes = Buffer.alloc(0);

export class ResponseGate {
  readonly #events: ResponseGateEvents;
  readonly #scanner: HeadScanner;
  readonly #framing = new Framing();
  readonly #body = new BodyReader();
  readonly #held = new HeldHead();
  #mode: number = Mode.head;
  /** The origin has said that it closes after the last response. */
  closes = false;

  constructor(maxHeadBytes: number, events: ResponseGateEvents) {
    this.#scanner = new HeadScanner('response', responseFieldNames, maxHeadBytes);
    this.#events = events;
  }

  /** Bytes pass unread: after a 101, or from the first byte on that could be read two ways. */
  get unread(): boolean {
    return this.#mode === Mode.unread;
  }

  /** From the next byte on, everything passes unread. */
  giveUp(): void {
    this.#mode = Mode.unread;
  }

  /** Reads `bytes[0..length)`, valid during this call only. */
  read(bytes: Buffer, length: number): void {
    let at = 0;
    // What has been read of this chunk and not passed yet begins here.
    let from = 0;
    while (at < length && this.#mode !== Mode.unread) {
      if (this.#mode === Mode.body) {
        at = this.#body.read(bytes, at, length);
        if (this.#body.failed) this.#mode = Mode.unread;
        else if (this.#body.done) from = this.#responseEnded(bytes, from, at);
        continue;
      }
      if (this.closes || this.#events.pending() === undefined) {
        this.#pass(bytes, from, at);
        this.#events.unsolicited();
        return;
      }
      const end = this.#scan(bytes, at, length);
      if (end === 0) {
        this.#pass(bytes, from, at);
        return;
      }
      if (end < 0) break;
      const { before, source, base } = this.#last;
      const changed = mustChange(this.#scanner) ? toClientHead(latin1(source, base, end), this.#scanner) : undefined;
      const next = before > 0 ? at + end - before : end;
      this.#headComplete(source, base);
      if (changed !== undefined || before > 0) {
        this.#pass(bytes, from, at);
        if (changed === undefined) this.#pass(source, 0, end);
        else this.#pass(Buffer.from(changed, 'latin1'), 0, changed.length);
        from = next;
      }
      this.#held.clear();
      at = next;
      if (this.#mode === Mode.body && this.#body.done) from = this.#responseEnded(bytes, from, at);
    }
    if (this.#mode === Mode.unread && this.#held.length > 0) {
      this.#pass(this.#held.bytes, 0, this.#held.length);
      this.#held.clear();
      return;
    }
    this.#pass(bytes, from, length);
  }

  /** Where the head scanned last lies: in `held` when it came in pieces. */
  readonly #last: { before: number; source: Buffer; base: number } = { before: 0, source: noBytes, base: 0 };

  /** As `HeadScanner.scan`; an incomplete head, or one in doubt, has been put to what is held. */
  #scan(bytes: Buffer, at: number, length: number): number {
    const held = this.#held;
    const last = this.#last;
    last.before = held.length;
    if (last.before > 0) held.append(bytes, at, length);
    last.source = last.before > 0 ? held.bytes : bytes;
    last.base = last.before > 0 ? 0 : at;
    const end = this.#scanner.scan(last.source, last.base, last.before > 0 ? held.length : length);
    if (end === 0 && last.before === 0) held.append(bytes, at, length);
    if (end < 0) this.#mode = Mode.unread;
    return end;
  }

  #headComplete(source: Buffer, base: number): void {
    const { statusCode: status, minorVersion } = this.#scanner;
    const framing = this.#framing;
    framing.readFrom(this.#scanner, source, base);
    this.#scanner.reset();
    if (status < 200) {
      if (status === 101) this.#mode = Mode.unread;
      return;
    }
    if (framing.doubt !== undefined) {
      this.#mode = Mode.unread;
      return;
    }
    this.closes = framing.closes(minorVersion);
    const body = this.#body;
    if (this.#events.pending()?.method === 'HEAD' || status === 204 || status === 304) body.startNone();
    else if (framing.chunked) body.startChunked();
    else if (framing.contentLength >= 0) body.startLength(framing.contentLength);
    else body.startUntilClose();
    this.#mode = Mode.body;
  }

  #responseEnded(bytes: Buffer, from: number, at: number): number {
    this.#mode = Mode.head;
    this.#pass(bytes, from, at);
    return at;
  }

  #pass(bytes: Buffer, from: number, to: number): void {
    if (to > from) this.#events.pass(bytes, from, to);
  }
}
