// The requests of one client on their way: each to the origin it names, one origin at a time, the others wait.
import type { Address } from '../../runtime/address.ts';
import type { Framing } from '../../wire/http1/framing.ts';
import type { HeadScanner } from '../../wire/http1/head-scanner.ts';
import { nowMs } from '../clock.ts';
import { hasRepeatedHost, toOriginHead } from './heads.ts';
import type { Origin } from './origin.ts';
import { RequestGate } from './request-gate.ts';
import { type ProxyTarget, parseAbsoluteForm, parseAuthorityForm } from './target.ts';

/** What the flow asks of the client's connection. */
export interface FlowOwner {
  /** Begins to connect. */
  openOrigin(target: Address, tunnel: boolean): Origin;
  /**
   * The request is not carried out.
   * @param head '' when none was complete
   */
  refuse(reason: string, head: string): void;
  /** The client has had its last answer. */
  finishClient(): void;
  /** Nothing more can be answered: the client's connection is being closed from here. */
  readonly clientClosing: boolean;
}

/** More requests than this waiting for answers wait here. */
const maxPipelined = 64;
const noBytes = Buffer.alloc(0);

export class RequestFlow {
  origin: Origin | undefined;
  /** Every byte passes to the origin: CONNECT was answered, or an Upgrade was. */
  tunnel = false;
  /** The CONNECT being carried out, as its head came. */
  connecting: { readonly head: string; readonly startMs: number } | undefined;
  /** Requests handed on. */
  requests = 0;
  readonly #owner: FlowOwner;
  readonly #gate: RequestGate;
  /** A head on its way to the origin, to be written together with what follows it. */
  #head = '';
  /** Bytes that must wait; the client is not read meanwhile. */
  #backlog: Buffer = noBytes;
  /** What came behind requests still to be answered is refused when they are. */
  #postponed = '';
  #advancing = false;
  #over = false;

  constructor(maxHeadBytes: number, owner: FlowOwner) {
    this.#owner = owner;
    this.#gate = new RequestGate(maxHeadBytes, {
      mayBegin: (head, framing, text) => this.#mayBegin(head, framing, text),
      body: (bytes, from, to) => this.#body(bytes, from, to),
      ended: () => this.#flushHead(),
      bodyBroken: () => this.#bodyBroken(),
      doubt: (reason) => this.#doubt(reason),
    });
  }

  /** Whether the client may be read. */
  get mayRead(): boolean {
    return this.#over || (this.#backlog.length === 0 && this.origin?.roomAtOrigin !== false);
  }

  /** Whether a request head is on its way. */
  get inHead(): boolean {
    return this.#gate.inHead;
  }

  /** Whether all that came has been handed on. */
  get settled(): boolean {
    return this.#backlog.length === 0 && !this.#gate.waiting && this.connecting === undefined;
  }

  /** Nothing more is read or handed on. */
  stop(): void {
    this.#over = true;
    this.#backlog = noBytes;
    this.connecting = undefined;
    this.#gate.stop();
  }

  /** The head being read takes too long. */
  tooSlow(): void {
    this.#gate.stop();
    this.#doubt('head_timeout');
  }

  /** The origin has been reached. True when the client is to be told: it is a tunnel from now on. */
  connected(): boolean {
    if (this.connecting === undefined) return false;
    this.connecting = undefined;
    this.tunnel = true;
    return true;
  }

  /** Takes `bytes[0..length)` as far as possible; the rest waits. */
  consume(bytes: Buffer, length: number): void {
    const { origin } = this;
    if (origin !== undefined) origin.roomAtOrigin = true;
    if (this.#backlog.length > 0) {
      this.#backlog = Buffer.concat([this.#backlog, bytes.subarray(0, length)]);
      return;
    }
    if (this.tunnel) {
      origin?.clientData(bytes, length);
      return;
    }
    const at = this.#gate.read(bytes, 0, length);
    this.#flushHead();
    if (at < length && !this.#over) this.#backlog = Buffer.from(bytes.subarray(at, length));
  }

  /** Goes on with what waits, as far as it may now. */
  advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (!this.#over && this.#mayGoOn() && this.#backlog.length > 0) {
        const waiting = this.#backlog;
        this.#backlog = noBytes;
        this.consume(waiting, waiting.length);
      }
    } finally {
      this.#advancing = false;
    }
    if (this.#postponed !== '' && this.origin?.busy !== true && !this.#over) this.#refuse(this.#postponed, '');
  }

  /** Whether the bytes that wait may be read: the request before them has begun, its upgrade is settled. */
  #mayGoOn(): boolean {
    const { origin } = this;
    if (this.tunnel) return origin?.roomAtOrigin === true;
    if (this.#gate.atBarrier && this.connecting === undefined) {
      if (origin?.upgraded === true) {
        this.tunnel = true;
        return true;
      }
      if (origin?.busy !== true) this.#gate.liftBarrier();
    }
    if (!this.#gate.retry()) return false;
    this.#flushHead();
    return this.origin?.roomAtOrigin !== false;
  }

  #mayBegin(head: HeadScanner, framing: Framing, text: string): boolean {
    const { origin } = this;
    if (this.#owner.clientClosing) {
      this.stop();
      return true;
    }
    const method = text.slice(head.methodStart, head.methodEnd);
    const target = readTarget(method, head, framing, text);
    if (typeof target === 'string') {
      if (origin?.busy === true) return false;
      this.#refuse(target, text);
      return true;
    }
    const isConnect = method === 'CONNECT';
    if (origin !== undefined && !isConnect && !origin.closes && isSame(origin.target, target.address)) {
      if (origin.observer.requestsOpen >= maxPipelined) return false;
      this.#send(toOriginHead(text, head, target));
      return true;
    }
    if (origin?.busy === true) return false;
    if (origin !== undefined && !origin.certain) {
      // Where its answers end nobody can say, so no other's may follow them.
      this.#owner.finishClient();
      return true;
    }
    origin?.release();
    this.origin = this.#owner.openOrigin(target.address, isConnect);
    if (isConnect) this.connecting = { head: text, startMs: nowMs() };
    else this.#send(toOriginHead(text, head, target));
    return true;
  }

  #send(head: string): void {
    this.requests++;
    this.#head = head;
  }

  #body(bytes: Buffer, from: number, to: number): void {
    if (this.#head === '') {
      const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
      this.origin?.clientData(piece, to - from);
      return;
    }
    const both = Buffer.allocUnsafe(this.#head.length + to - from);
    both.write(this.#head, 'latin1');
    bytes.copy(both, this.#head.length, from, to);
    this.#head = '';
    this.origin?.clientData(both, both.length);
  }

  #flushHead(): void {
    if (this.#head === '') return;
    const head = Buffer.from(this.#head, 'latin1');
    this.#head = '';
    this.origin?.clientData(head, head.length);
  }

  #doubt(reason: string): void {
    if (this.origin?.busy === true) this.#postponed = reason;
    else this.#refuse(reason, '');
  }

  /** Not in the middle of an answer whose end nobody can tell. */
  #refuse(reason: string, head: string): void {
    if (this.origin?.certain === false) this.#owner.finishClient();
    else this.#owner.refuse(reason, head);
  }

  /** A request of which a part has gone on cannot be taken back: its origin's connection ends. */
  #bodyBroken(): void {
    this.#flushHead();
    const reason = 'bad_request_body';
    const { origin } = this;
    const mayAnswer = origin?.observer.requestsOpen === 1 && !origin.observer.hasEarlyAnswer;
    origin?.answered(mayAnswer ? 400 : 0, { flag: 'DPE', errorType: reason });
    origin?.release(undefined, true);
    if (mayAnswer) this.#owner.refuse(reason, '');
    else this.#owner.finishClient();
  }
}

function isSame(a: Address, b: Address): boolean {
  return a.port === b.port && a.host === b.host;
}

/** Where the request goes, or why it goes nowhere. */
function readTarget(method: string, head: HeadScanner, framing: Framing, text: string): ProxyTarget | string {
  if (framing.doubt !== undefined) return framing.doubt;
  if (hasRepeatedHost(head)) return 'repeated_host';
  const target = text.slice(head.methodEnd + 1, head.targetEnd);
  if (method !== 'CONNECT') return parseAbsoluteForm(method, target);
  if (framing.contentLength > 0 || framing.chunked) return 'connect_with_body';
  return parseAuthorityForm(target);
}
