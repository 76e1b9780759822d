// The request side of an HTTP/1 connection: finds requests in the bytes and hands every byte on, edited heads included.
import { BodyReader } from '../wire/http1/body-reader.ts';
import { Framing } from '../wire/http1/framing.ts';
import type { HeadScanner } from '../wire/http1/head-scanner.ts';
import { latin1 } from '../wire/http1/latin1.ts';
import { HeldHead } from './held-head.ts';
import type { ScannerPool } from './scanner-pool.ts';

/** Where request bytes go. A string is latin1: one character a byte. Bytes are valid during the call only. */
export interface ByteSink {
  write(data: Buffer | string): void;
}

/** What the reader asks and tells. */
export interface RequestEvents {
  /**
   * A head is complete and its framing certain. `text` is the head as latin1, of which `from` characters have gone on.
   * Returns the rest as it is to go on, or undefined to leave it and all that follows unread.
   */
  requestOpened(head: HeadScanner, framing: Framing, text: string, from: number): string | undefined;
  /** Payload bytes of the request being read, so far. */
  requestBodyRead(payloadBytes: number): void;
  /** The request has ended, its body included. */
  requestEnded(): void;
  /** What should be a request line is not even a bad one. `stop` must follow. */
  notHttp(): void;
  /** The request's framing is in doubt. `stop` or `drop` must follow. */
  requestDoubt(reason: string): void;
}

/** Up to here a piece goes as text; what follows a head in the same chunk joins it in one write, whatever its size. */
const maxJoinedBytes = 16 << 10;

const Mode = {
  /** At or in a request head. */
  head: 0,
  body: 1,
  /** Bytes pass unread: behind `Connection: close`, behind a CONNECT or an upgrade not yet answered, or for good. */
  unread: 2,
} as const;

export class RequestReader {
  readonly #events: RequestEvents;
  readonly #toServer: ByteSink;
  readonly #scanners: ScannerPool;
  /** Lent while a head is being read. */
  #scanner: HeadScanner | undefined;
  readonly #body = new BodyReader();
  readonly #held = new HeldHead();
  #mode: number = Mode.head;
  /** No request follows the one being read: what comes behind it gets no span (R7). */
  #last = false;
  /** A CONNECT or an upgrade waits for its answer, and no byte has followed it: such bytes may be the new protocol's. */
  #switchPending = false;
  /** What goes to the server at the end of this chunk, in one write. */
  #pending = '';
  /** Bytes of the current chunk that have been written, are pending, or are held. */
  #committed = 0;

  constructor(scanners: ScannerPool, toServer: ByteSink, events: RequestEvents) {
    this.#scanners = scanners;
    this.#toServer = toServer;
    this.#events = events;
  }

  /** Whether bytes pass unread. */
  get unread(): boolean {
    return this.#mode === Mode.unread;
  }

  /** Whether a head is on its way. */
  get inHead(): boolean {
    return this.#mode === Mode.head && this.#held.length > 0;
  }

  /** Bytes of the first head that went to the server before this reader was there. */
  forwarded(bytes: Buffer): void {
    this.#held.append(bytes, 0, bytes.length);
    this.#held.forwarded = bytes.length;
  }

  /** From now on nothing is passed on but what was read and found good; what is held is forgotten. */
  drop(): void {
    this.#mode = Mode.unread;
    this.flush();
    this.#held.clear();
  }

  /** Gives back what is lent. */
  release(): void {
    if (this.#scanner !== undefined) this.#scanners.give(this.#scanner);
    this.#scanner = undefined;
  }

  /** From now on bytes pass unread; what was held goes on with the next `flush`. */
  stop(): void {
    this.#mode = Mode.unread;
    this.#pending += this.#held.take();
    this.#held.clear();
  }

  /** CONNECT or the upgrade was refused: unless bytes have followed it already, the next request may come. */
  switchRefused(): void {
    if (this.#switchPending && this.unread && !this.#last) this.#mode = Mode.head;
    this.#switchPending = false;
  }

  /** Writes what is pending. */
  flush(): void {
    if (this.#pending === '') return;
    const text = this.#pending;
    this.#pending = '';
    this.#toServer.write(text);
  }

  /** Passes `chunk[0..length)` on, unread. */
  pass(chunk: Buffer, length: number): void {
    this.#switchPending = false;
    this.flush();
    this.#toServer.write(length === chunk.length ? chunk : chunk.subarray(0, length));
  }

  /** Reads `chunk[0..length)`; `passRest` must follow, also when this throws. */
  read(chunk: Buffer, length: number): void {
    this.#committed = 0;
    while (this.#committed < length && this.#mode !== Mode.unread) {
      if (this.#mode === Mode.head) this.#readHead(chunk, this.#committed, length);
      else this.#readBody(chunk, this.#committed, length);
    }
  }

  /** Hands on what `read` left unread of the chunk, and all that is pending. */
  passRest(chunk: Buffer, length: number): void {
    if (this.#committed < length) {
      this.#switchPending = false;
      this.#join(chunk, this.#committed, length);
      this.#committed = length;
    }
    this.flush();
  }

  /** Queues `chunk[from..to)` for the server. */
  #join(chunk: Buffer, from: number, to: number): void {
    if (this.#pending !== '' || to - from <= maxJoinedBytes) this.#pending += latin1(chunk, from, to);
    else this.#toServer.write(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }

  #readBody(chunk: Buffer, at: number, end: number): void {
    const next = this.#body.read(chunk, at, end);
    this.#events.requestBodyRead(this.#body.payloadBytes);
    if (this.#body.failed) {
      this.#events.requestDoubt('bad_request_body');
      return;
    }
    this.#committed = next;
    this.#join(chunk, at, next);
    if (this.#body.done) this.#ended();
  }

  /** Reads on in a head. The request line passes as it comes; what follows it is held until the head is complete. */
  #readHead(chunk: Buffer, at: number, end: number): void {
    const held = this.#held;
    this.#scanner ??= this.#scanners.take();
    const scanner = this.#scanner;
    if (held.length === 0) {
      const headEnd = scanner.scan(chunk, at, end);
      if (headEnd > 0) {
        const rest = this.#open(scanner, chunk, at, headEnd, 0);
        if (rest === undefined) return;
        this.#pending += rest;
        this.#committed = headEnd;
        return;
      }
      if (headEnd < 0) {
        this.#doubtfulHead(scanner, chunk, at, end);
        return;
      }
    }
    const before = held.length;
    held.append(chunk, at, end);
    this.#committed = end;
    const headEnd = before === 0 ? 0 : scanner.scan(held.bytes, 0, held.length);
    if (headEnd < 0) {
      this.#doubtfulHead(scanner, held.bytes, 0, held.length);
      return;
    }
    if (headEnd === 0) {
      if (!scanner.pastStartLine) this.#pending += held.take();
      return;
    }
    const rest = this.#open(scanner, held.bytes, 0, headEnd, held.forwarded);
    if (rest === undefined) return;
    held.clear();
    this.#pending += rest;
    this.#committed = at + headEnd - before;
  }

  /** Opens the exchange of a complete head; undefined when its framing is in doubt (then nothing was opened). */
  #open(head: HeadScanner, bytes: Buffer, base: number, headEnd: number, from: number): string | undefined {
    framing.readFrom(head, bytes, base);
    const text = latin1(bytes, base, headEnd);
    const isConnect = text.startsWith('CONNECT ', head.methodStart);
    if (isConnect && (framing.contentLength > 0 || framing.chunked)) framing.doubt ??= 'connect_with_body';
    if (framing.doubt !== undefined) {
      this.#events.requestDoubt(framing.doubt);
      return undefined;
    }
    const rest = this.#events.requestOpened(head, framing, text, from);
    if (rest === undefined) return undefined;
    if (framing.chunked) this.#body.startChunked();
    else this.#body.startLength(Math.max(0, framing.contentLength));
    this.#last = framing.closes(head.minorVersion);
    this.#switchPending = isConnect || (framing.hasUpgrade && framing.connectionUpgrade);
    this.#mode = Mode.body;
    this.release();
    if (this.#body.done) this.#ended();
    return rest;
  }

  #ended(): void {
    this.#mode = this.#last || this.#switchPending ? Mode.unread : Mode.head;
    this.#events.requestEnded();
  }

  #doubtfulHead(scanner: HeadScanner, bytes: Buffer, at: number, end: number): void {
    const { doubt } = scanner;
    if (doubt === 'not_http' || (doubt === 'bad_request_line' && !looksLikeHttp(bytes, at, end))) {
      this.#events.notHttp();
    } else this.#events.requestDoubt(doubt);
  }
}

/** One for all: it is read and done with before the next head is looked at. */
const framing = new Framing();

const knownMethod = /^(?:\r\n)*(?:GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|TRACE|CONNECT|PRI)[ \t\r\n]/;

/** Whether a line that is no request line was meant as one: it begins with a method of HTTP's own, or says its version. */
function looksLikeHttp(bytes: Buffer, at: number, end: number): boolean {
  const line = latin1(bytes, at, Math.min(end, at + 8192)).replace(/^(?:\r\n)+/, '');
  return knownMethod.test(line) || /^[^\n]* HTTP\/\d/i.test(line);
}
