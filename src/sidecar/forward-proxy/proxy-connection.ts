// One client of the forward proxy: its requests, each to the origin it names, one origin at a time.
import type { Socket } from 'node:net';
import { type Address, formatAddress } from '../../runtime/address.ts';
import type { Framing } from '../../wire/http1/framing.ts';
import type { HeadScanner } from '../../wire/http1/head-scanner.ts';
import { nowMs } from '../clock.ts';
import { newConnectionId } from '../connection.ts';
import { isInternalAddress } from '../exclusions.ts';
import { SpanTemplate } from '../export/span-template.ts';
import type { ConnectionDescription, OpenConnection } from '../open-connection.ts';
import { SocketWriter } from '../socket-writer.ts';
import { readInto } from '../static-reads.ts';
import { bump, type Protocol } from '../stats.ts';
import type { Tracer } from '../tracer.ts';
import { hasRepeatedHost, toOriginHead } from './heads.ts';
import { Origin, type OriginEvents, type ProxyClient, proxyReadBuffer } from './origin.ts';
import { formatRefusal, type Refusal, refuseLoop, refuseRequest, refuseUnreached, traceRefused } from './refusal.ts';
import { RequestGate } from './request-gate.ts';
import { type ProxyTarget, parseAbsoluteForm, parseAuthorityForm } from './target.ts';

export interface ProxyOptions {
  /** Where the proxy listens. */
  readonly bound: Address;
  readonly connectTimeoutMs: number;
  readonly maxHeadBytes: number;
}

/** What one client and the proxy's listener have to do with each other. */
export interface ProxyConnectionEvents {
  closed(connection: ProxyConnection): void;
  faulted(error: unknown): void;
}

const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';
/** More requests than this waiting for answers wait here. */
const maxPipelined = 64;
/** How long a client that has had a last answer may go on sending before it is cut off. */
const lingerMs = 1_000;
const noBytes = Buffer.alloc(0);

export class ProxyConnection implements OpenConnection, ProxyClient, OriginEvents {
  readonly id = newConnectionId();
  readonly startMs = nowMs();
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly internal: boolean;
  protocol: Protocol = 'unknown';
  bytesFromClient = 0;
  bytesFromServer = 0;
  readonly #options: ProxyOptions;
  readonly #tracer: Tracer;
  readonly #client: Socket;
  readonly #writer: SocketWriter;
  readonly #events: ProxyConnectionEvents;
  readonly #gate: RequestGate;
  #origin: Origin | undefined;
  /** Every byte passes to the origin: CONNECT was answered, or an Upgrade was. */
  #tunnel = false;
  /** The CONNECT being carried out, as its head came. */
  #connect: { readonly head: string; readonly startMs: number } | undefined;
  /** A head on its way to the origin, to be written together with what follows it. */
  #head = '';
  /** Client bytes that must wait; the client is not read meanwhile. */
  #backlog = noBytes;
  /** The client has had its last answer: what it still sends is read and dropped. */
  #over = false;
  #clientEnded = false;
  #advancing = false;
  #requests = 0;
  #degradedReason = '';
  /** What came behind requests still to be answered is refused when they are. */
  #postponed = '';
  #lingerTimer: NodeJS.Timeout | undefined;
  #headSinceMs = 0;
  #sweptBytes = 0;
  #quietSinceMs = this.startMs;
  #spans = 0;
  #spansSecond = 0;

  constructor(client: Socket, options: ProxyOptions, tracer: Tracer, events: ProxyConnectionEvents) {
    this.#client = client;
    this.#options = options;
    this.#tracer = tracer;
    this.#events = events;
    const address = client.remoteAddress ?? '';
    this.clientAddress = address.startsWith('::ffff:') ? address.slice(7) : address;
    this.clientPort = client.remotePort ?? 0;
    this.internal = isInternalAddress(this.clientAddress);
    this.#gate = new RequestGate(options.maxHeadBytes, {
      mayBegin: (head, framing, text) => this.#mayBegin(head, framing, text),
      body: (bytes, from, to) => this.#body(bytes, from, to),
      ended: () => this.#flushHead(),
      bodyBroken: () => this.#bodyBroken(),
      doubt: (reason) => this.#doubt(reason),
    });
    this.#writer = new SocketWriter(client, {
      drained: () => this.#origin?.resume(),
      failed: () => this.#origin?.resume(),
    });
    this.#watchClient();
  }

  // OpenConnection.

  describe(): ConnectionDescription {
    const target = this.#origin?.target;
    return {
      id: this.id,
      direction: 'outbound',
      protocol: this.protocol,
      client: `${this.clientAddress}:${this.clientPort}`,
      target: target === undefined ? '' : formatAddress(target),
      age_ms: Math.round(nowMs() - this.startMs),
      bytes_from_client: this.bytesFromClient,
      bytes_from_server: this.bytesFromServer,
      requests: this.#tunnel ? this.#requests + (this.#origin?.observer.requests ?? 0) : this.#requests,
      requests_open: this.#origin?.observer.requestsOpen ?? 0,
      degraded: this.#degradedReason === '' ? null : this.#degradedReason,
    };
  }

  sweep(now: number): void {
    const { idleTimeoutMs, headTimeoutMs } = this.#tracer.limits;
    const bytes = this.bytesFromClient + this.bytesFromServer;
    if (bytes !== this.#sweptBytes) {
      this.#sweptBytes = bytes;
      this.#quietSinceMs = now;
    } else if (idleTimeoutMs > 0 && now - this.#quietSinceMs >= idleTimeoutMs) {
      this.#tracer.stats.outbound.idleTimeouts++;
      this.#origin?.release({ flag: 'SI', errorType: 'idle_timeout' });
      this.#client.destroy();
      return;
    }
    if (headTimeoutMs === 0 || !this.#gate.inHead) this.#headSinceMs = 0;
    else if (this.#headSinceMs === 0) this.#headSinceMs = now;
    else if (now - this.#headSinceMs >= headTimeoutMs) {
      this.#gate.stop();
      this.#doubt('head_timeout');
    }
    this.#origin?.observer.sweep(now);
  }

  /** Ends the connection at once, as a drain's deadline does. */
  destroy(): void {
    this.#origin?.release({ flag: '-', errorType: 'shutdown' });
    this.#client.destroy();
  }

  // ProxyClient.

  admitsSpan(atMs: number): boolean {
    const { maxSpansPerSecond } = this.#tracer.limits;
    const second = Math.floor(atMs / 1000);
    if (second !== this.#spansSecond) {
      this.#spansSecond = second;
      this.#spans = 0;
    }
    return ++this.#spans <= maxSpansPerSecond || maxSpansPerSecond === 0;
  }

  // OriginEvents.

  connected(origin: Origin): boolean {
    if (origin.leadsBackTo(this.#options.bound.port)) {
      bump(this.#tracer.stats.refusedRequests, 'proxy_loop');
      this.#originFailed(origin, refuseLoop(origin.target));
      return false;
    }
    if (this.#connect === undefined) return true;
    this.#connect = undefined;
    this.#tunnel = true;
    this.toClient(established);
    this.#advance();
    return true;
  }

  connectFailed(origin: Origin, reason: string): void {
    bump(this.#tracer.stats.outbound.connectFailures, reason);
    this.#originFailed(origin, refuseUnreached(origin.target, reason));
  }

  toClient(data: string | Buffer): boolean {
    this.bytesFromServer += data.length;
    return this.#writer.write(data);
  }

  progressed(): void {
    this.#advance();
  }

  writable(): void {
    this.#advance();
  }

  unsolicited(): void {
    this.#origin?.release();
    this.#finishClient();
  }

  ended(complete: boolean): void {
    // A request that waits for this answer to be complete goes to another connection.
    if (complete && !this.#tunnel && this.#gate.waiting) this.#advance();
    else this.#client.end();
  }

  /** A reset is passed on as a reset, unless an early answer is still to reach a client that is busy sending. */
  closed(broken: boolean, reset: boolean): void {
    const client = this.#client;
    if (client.destroyed) return;
    const busy = this.#origin?.observer.hasEarlyAnswer === true || !this.#writer.idle;
    if (reset && !busy) client.resetAndDestroy();
    else if (broken) this.#finishClient();
  }

  detected(protocol: Protocol): void {
    this.protocol = protocol;
  }

  degraded(reason: string): void {
    this.#degradedReason = reason;
    bump(this.#tracer.stats.degraded, reason);
  }

  refused(reason: string): void {
    this.#degradedReason = reason;
    bump(this.#tracer.stats.refusedRequests, reason);
  }

  answerRefusal(status: number): void {
    this.#answer({ ...refuseRequest(this.#degradedReason, this.#options.bound), status }, false);
  }

  faulted(error: unknown): void {
    this.#events.faulted(error);
  }

  // The client's side.

  #watchClient(): void {
    const client = this.#client;
    readInto(client, proxyReadBuffer, (length) => this.#clientBytes(length));
    client.on('end', () => {
      this.#clientEnded = true;
      this.#guarded(() => this.#advance());
    });
    client.on('error', () => {});
    client.on('close', (broken: boolean) => {
      clearTimeout(this.#lingerTimer);
      this.#origin?.release({ flag: 'DC', errorType: 'client_disconnected' }, broken);
      this.#events.closed(this);
    });
  }

  #clientBytes(length: number): boolean {
    this.bytesFromClient += length;
    if (this.#over) {
      this.#lingerTimer?.refresh();
      return true;
    }
    this.#guarded(() => this.#consume(proxyReadBuffer, length));
    return this.#mayRead;
  }

  get #mayRead(): boolean {
    return this.#backlog.length === 0 && (this.#origin === undefined || this.#origin.roomAtOrigin || this.#over);
  }

  /** Takes `bytes[0..length)` as far as possible; the rest waits. */
  #consume(bytes: Buffer, length: number): void {
    const origin = this.#origin;
    if (origin !== undefined) origin.roomAtOrigin = true;
    if (this.#tunnel && origin !== undefined) {
      origin.clientData(bytes, length);
      return;
    }
    if (this.#backlog.length > 0) {
      this.#backlog = Buffer.concat([this.#backlog, bytes.subarray(0, length)]);
      return;
    }
    const at = this.#gate.read(bytes, 0, length);
    this.#flushHead();
    if (at < length && !this.#over) this.#backlog = Buffer.from(bytes.subarray(at, length));
  }

  /** Goes on with what waits, as far as it may now. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (!this.#over && this.#mayGoOn() && this.#backlog.length > 0) {
        const waiting = this.#backlog;
        this.#backlog = noBytes;
        this.#consume(waiting, waiting.length);
        if (this.#backlog.length === waiting.length) break;
      }
    } finally {
      this.#advancing = false;
    }
    if (this.#postponed !== '' && this.#origin?.busy !== true) {
      this.#refuse(refuseRequest(this.#postponed, this.#options.bound), '');
      this.#postponed = '';
    } else if (this.#clientEnded) this.#passEnd();
    else if (this.#mayRead) this.#client.resume();
  }

  /** Whether the bytes that wait may be read: the request before them has begun, its upgrade is settled. */
  #mayGoOn(): boolean {
    const origin = this.#origin;
    if (this.#tunnel) return origin?.roomAtOrigin === true;
    if (this.#gate.atBarrier && this.#connect === undefined) {
      if (origin?.upgraded === true) this.#tunnel = true;
      else if (origin?.busy !== true) this.#gate.liftBarrier();
    }
    if (!this.#tunnel && !this.#gate.retry()) return false;
    this.#flushHead();
    return origin === undefined || origin.roomAtOrigin;
  }

  /** The client has closed its side, and so does the origin's connection once all has been handed on. */
  #passEnd(): void {
    if (this.#over || this.#backlog.length > 0 || this.#gate.waiting || this.#connect !== undefined) return;
    if (this.#origin === undefined) this.#client.end();
    else this.#origin.clientEnded();
  }

  // Requests.

  #mayBegin(head: HeadScanner, framing: Framing, text: string): boolean {
    const method = text.slice(head.methodStart, head.methodEnd);
    const target = readTarget(method, head, framing, text);
    const origin = this.#origin;
    if (this.#client.writableEnded) {
      this.#gate.stop();
      return true;
    }
    if (typeof target === 'string') {
      if (origin?.busy === true) return false;
      this.#refuse(refuseRequest(target, this.#options.bound), text);
      return true;
    }
    const isConnect = method === 'CONNECT';
    if (origin !== undefined && !isConnect && !origin.closes && isSame(origin.target, target.address)) {
      if (origin.observer.requestsOpen >= maxPipelined) return false;
      this.#send(toOriginHead(text, head, target));
      return true;
    }
    if (origin !== undefined) {
      if (origin.busy) return false;
      if (!origin.certain) {
        // Where its answers end nobody can say, so no other's may follow them.
        origin.clientEnded();
        this.#finishClient();
        return true;
      }
      origin.release();
    }
    if (isConnect) this.#connect = { head: text, startMs: nowMs() };
    this.#origin = new Origin(
      target.address,
      isConnect,
      this.#options.connectTimeoutMs,
      this.#options.maxHeadBytes,
      this,
      this.#tracer,
      this,
    );
    if (!isConnect) this.#send(toOriginHead(text, head, target));
    return true;
  }

  #send(head: string): void {
    this.protocol = 'http1';
    this.#requests++;
    this.#head = head;
  }

  #body(bytes: Buffer, from: number, to: number): void {
    const origin = this.#origin;
    if (origin === undefined) return;
    if (this.#head === '') {
      const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
      origin.clientData(piece, to - from);
      return;
    }
    const both = Buffer.allocUnsafe(this.#head.length + to - from);
    both.write(this.#head, 'latin1');
    bytes.copy(both, this.#head.length, from, to);
    this.#head = '';
    origin.clientData(both, both.length);
  }

  #flushHead(): void {
    if (this.#head === '') return;
    const head = Buffer.from(this.#head, 'latin1');
    this.#head = '';
    this.#origin?.clientData(head, head.length);
  }

  // The end.

  #doubt(reason: string): void {
    if (this.#origin?.busy === true) this.#postponed = reason;
    else this.#refuse(refuseRequest(reason, this.#options.bound), '');
  }

  /** A request of which a part has gone on cannot be taken back: its origin's connection ends. */
  #bodyBroken(): void {
    this.#flushHead();
    const refusal = refuseRequest('bad_request_body', this.#options.bound);
    const origin = this.#origin!;
    const isFirst = origin.observer.requestsOpen === 1 && !origin.observer.hasEarlyAnswer;
    this.#degradedReason = refusal.reason;
    bump(this.#tracer.stats.refusedRequests, refusal.reason);
    origin.answered(isFirst ? refusal.status : 0, { flag: refusal.flag, errorType: refusal.reason });
    origin.release(undefined, true);
    if (isFirst) this.#answer(refusal, false);
    else this.#finishClient();
  }

  /** @param head of the request, '' when none was complete: then there is nothing to make a span of */
  #refuse(refusal: Refusal, head: string): void {
    this.#degradedReason = refusal.reason;
    bump(this.#tracer.stats.refusedRequests, refusal.reason);
    this.protocol = 'http1';
    if (head !== '') traceRefused(this.#tracer, this.#asTraced(), head, nowMs(), refusal);
    this.#answer(refusal, head.startsWith('HEAD '));
  }

  #originFailed(origin: Origin, refusal: Refusal): void {
    const { head, startMs } = this.#connect ?? { head: '', startMs: 0 };
    const isHead = origin.firstMethod === 'HEAD';
    origin.answered(refusal.status, { flag: refusal.flag, errorType: refusal.reason });
    origin.release(undefined, true);
    if (head !== '') traceRefused(this.#tracer, this.#asTraced(), head, startMs, refusal);
    this.#answer(refusal, isHead);
  }

  #answer(refusal: Refusal, isHead: boolean): void {
    if (this.#client.destroyed) return;
    this.toClient(formatRefusal(refusal, isHead));
    this.#origin?.release();
    this.#finishClient();
  }

  /** Nothing more goes to the client; what it still sends is read, so that what it was sent is not lost (R4). */
  #finishClient(): void {
    this.#over = true;
    this.#backlog = noBytes;
    this.#connect = undefined;
    this.#gate.stop();
    this.#client.end();
    this.#client.resume();
    this.#lingerTimer ??= setTimeout(() => this.#client.destroy(), lingerMs);
  }

  /** A connection that leads nowhere, for the span of a refused request. */
  #asTraced() {
    const { clientAddress, clientPort, internal, startMs, bytesFromClient, bytesFromServer } = this;
    const target = this.#origin?.target ?? { host: '', port: this.#options.bound.port };
    const template = new SpanTemplate({
      direction: 'outbound',
      ...{ clientAddress, clientPort },
      ...{ upstreamAddress: '', upstreamPort: target.port, upstreamCluster: `outbound|${target.port}||${target.host}` },
    });
    const admitsSpan = (atMs: number) => this.admitsSpan(atMs);
    return {
      direction: 'outbound',
      template,
      internal,
      startMs,
      bytesFromClient,
      bytesFromServer,
      admitsSpan,
    } as const;
  }

  /** R5: our own fault ends this connection, for its bytes cannot be told apart any more; it never goes further. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#events.faulted(error);
      this.degraded('observer_error');
      this.destroy();
    }
  }
}

function isSame(a: Address, b: Address): boolean {
  return a.port === b.port && a.host === b.host;
}

/** Where the request goes, or why it goes nowhere. */
function readTarget(method: string, head: HeadScanner, framing: Framing, text: string): ProxyTarget | string {
  if (hasRepeatedHost(head)) return 'repeated_host';
  if (framing.doubt !== undefined) return framing.doubt;
  const target = text.slice(head.methodEnd + 1, head.targetEnd);
  if (method !== 'CONNECT') return parseAbsoluteForm(method, target);
  if (framing.contentLength > 0 || framing.chunked) return 'connect_with_body';
  return parseAuthorityForm(target);
}
