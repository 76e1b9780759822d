// The connection to one origin server, for as long as the client's requests go there.
import { isIP, type Socket } from 'node:net';
import type { Address } from '../../runtime/address.ts';
import { nowMs } from '../clock.ts';
import type { ConnectionEnd, ConnectionObserver } from '../connection-observer.ts';
import { Detection, type ObservedConnection } from '../detection.ts';
import type { Exchange } from '../exchange.ts';
import { SpanTemplate } from '../export/span-template.ts';
import { Http1Observer } from '../http1-observer.ts';
import { errorType } from '../socket-errors.ts';
import { SocketWriter } from '../socket-writer.ts';
import type { Protocol } from '../stats.ts';
import type { Tracer } from '../tracer.ts';
import { Upstream } from '../upstream.ts';
import type { OriginEvents, OriginOptions, ProxyClient } from './origin-events.ts';
import { ResponseGate } from './response-gate.ts';

const anyAddress = /^(?:0\.0\.0\.0|::)$/;
/** Up to here a string is the cheaper carrier, above it a copy. */
const maxStringBytes = 16 << 10;

/** Every socket of the proxy reads into this one: bytes are valid until the callback returns. */
export const proxyReadBuffer = Buffer.allocUnsafeSlow(64 << 10);

export class Origin implements ObservedConnection {
  readonly direction = 'outbound';
  readonly startMs = nowMs();
  readonly target: Address;
  readonly internal: boolean;
  bytesFromClient = 0;
  bytesFromServer = 0;
  observer: ConnectionObserver;
  /** Nothing can be written any more. */
  deaf = false;
  roomAtOrigin = true;
  readonly #client: ProxyClient;
  readonly #events: OriginEvents;
  readonly #upstream: Upstream;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  /** Undefined in a tunnel, where every byte passes. */
  readonly #gate: ResponseGate | undefined;
  readonly #http1: Http1Observer | undefined;
  #template: SpanTemplate | undefined;
  #roomAtClient = true;
  #opaque = false;
  #released = false;
  #end: ConnectionEnd | undefined;

  /** Connects at once. */
  constructor(
    target: Address,
    { tunnel, connectTimeoutMs, maxHeadBytes }: OriginOptions,
    client: ProxyClient,
    tracer: Tracer,
    events: OriginEvents,
  ) {
    this.target = target;
    this.#client = client;
    this.#events = events;
    this.internal = client.internal;
    if (tunnel) this.observer = new Detection(tracer, this);
    else {
      this.#http1 = new Http1Observer(tracer, this);
      this.observer = this.#http1;
      this.#gate = new ResponseGate(maxHeadBytes, {
        pending: () => this.#pending(),
        pass: (bytes, from, to) => this.#toClient(bytes, from, to),
        unsolicited: () => {
          tracer.stats.unsolicitedResponses++;
          events.unsolicited();
        },
      });
    }
    this.#upstream = new Upstream(target, connectTimeoutMs, proxyReadBuffer, {
      data: (length) => this.#read(length),
      connected: () => this.#connected(),
      connectFailed: (reason) => this.#connectFailed(reason),
    });
    this.#socket = this.#upstream.socket;
    this.#writer = new SocketWriter(this.#socket, {
      drained: () => this.#writable(),
      failed: () => {
        this.deaf = true;
        this.#writable();
      },
    });
    this.#watch();
  }

  /** An answer is under way or waited for. */
  get busy(): boolean {
    return this.observer.requestsOpen > 0;
  }

  /** The answers can be told apart, so another origin may be asked after them. */
  get certain(): boolean {
    return !this.#opaque && this.#gate?.unread === false;
  }

  /** The origin takes no further request on this connection. */
  get closes(): boolean {
    return this.#gate?.closes === true || this.#end !== undefined;
  }

  /** The method of the request whose answer is due. */
  get firstMethod(): string {
    return this.#pending()?.method ?? '';
  }

  /** A 101 was passed on: what comes now, either way, is no HTTP/1. */
  get upgraded(): boolean {
    return this.#http1?.queue.first?.status === 101;
  }

  /** What spans say of the connection: kept once the origin's address is known. */
  get template(): SpanTemplate {
    if (this.#template !== undefined) return this.#template;
    const { host, port } = this.target;
    const template = new SpanTemplate({
      direction: 'outbound',
      clientAddress: this.#client.clientAddress,
      clientPort: this.#client.clientPort,
      upstreamAddress: (this.#socket.remoteAddress ?? host).replace(/^::ffff:/, ''),
      upstreamPort: port,
      upstreamCluster: `outbound|${port}||${host}`,
    });
    if (this.#upstream.connected) this.#template = template;
    return template;
  }

  /** Whether this machine's listener on `bound` is the other end. */
  leadsTo(bound: Address): boolean {
    const { remoteAddress = '', remotePort, localAddress } = this.#socket;
    if (remotePort !== bound.port) return false;
    const ownEnd = remoteAddress === localAddress || remoteAddress.startsWith('127.');
    return ownEnd && (remoteAddress === bound.host || isIP(bound.host) === 0 || anyAddress.test(bound.host));
  }

  /** Request bytes as the client sent them, or a head as it goes on. */
  clientData(bytes: Buffer, length: number): void {
    this.bytesFromClient += length;
    this.observer.clientData(bytes, length);
  }

  /** The client has closed its side. */
  clientEnded(): void {
    this.observer.clientEnded();
    if (!this.deaf) this.#socket.end();
  }

  /** The client takes bytes again. */
  resume(): void {
    this.#roomAtClient = true;
    this.#socket.resume();
  }

  /** The answer that is owed is the proxy's own. */
  answered(status: number, end: ConnectionEnd): void {
    const first = this.#http1?.queue.first;
    if (first !== undefined && status !== 0) first.status = status;
    this.#end ??= end;
    this.#finish(end);
  }

  /** Not used any more: closed, in order unless `reset`, and no event comes any more. */
  release(end: ConnectionEnd = { flag: '-', errorType: '' }, reset = false): void {
    if (this.#released) return;
    this.#released = true;
    this.#finish(this.#end ?? end);
    if (!this.#upstream.connected) this.#socket.destroy();
    else if (reset) this.#socket.resetAndDestroy();
    else this.#socket.destroySoon();
    this.#socket.resume();
  }

  // ObservedConnection.

  write(data: Buffer | string): void {
    if (this.deaf) return;
    const own = typeof data === 'string' ? data : takeOut(data, 0, data.length);
    if (!this.#writer.write(own)) this.roomAtOrigin = false;
  }

  admitsSpan(atMs: number): boolean {
    return this.#client.admitsSpan(atMs);
  }

  detected(protocol: Protocol): void {
    this.#events.detected(protocol);
  }

  observe(observer: ConnectionObserver): void {
    this.observer = observer;
  }

  rested(): void {
    this.#template = undefined;
  }

  degraded(reason: string): void {
    this.#opaque = true;
    this.#gate?.giveUp();
    this.#events.degraded(reason);
  }

  refused(reason: string): void {
    this.#events.refused(reason);
  }

  answerRefusal(status: number): void {
    this.#events.answerRefusal(status);
  }

  destroy(): void {
    this.#events.destroy();
  }

  faulted(error: unknown): void {
    this.#events.faulted(error);
  }

  /** A PROXY header within a tunnel is between its two ends. */
  proxied(): void {}

  #watch(): void {
    const socket = this.#socket;
    socket.on('end', () => this.#unlessReleased(() => this.#ended()));
    socket.on('error', (error) => {
      this.#upstream.errored(error);
      if (this.#upstream.connected) this.#end ??= { flag: 'UC', errorType: errorType(error) };
    });
    socket.on('close', (broken: boolean) => {
      this.#upstream.closed();
      this.#unlessReleased(() => this.#closed(broken));
    });
  }

  #connected(): void {
    this.#unlessReleased(() => {
      if (!this.#events.connected(this)) this.release(undefined, true);
    });
  }

  #connectFailed(reason: string): void {
    this.deaf = true;
    this.#unlessReleased(() => this.#events.connectFailed(this, reason));
    this.#socket.destroy();
  }

  #read(length: number): boolean {
    this.#unlessReleased(() => {
      this.bytesFromServer += length;
      if (this.#gate === undefined) this.#toClient(proxyReadBuffer, 0, length);
      else this.#gate.read(proxyReadBuffer, length);
      this.#events.progressed();
    });
    return this.#roomAtClient || this.#released;
  }

  #ended(): void {
    this.#end ??= { flag: 'UC', errorType: '' };
    this.observer.serverEnded();
    this.#events.ended();
  }

  #closed(broken: boolean): void {
    this.#end ??= { flag: 'UC', errorType: '' };
    const wasDeaf = this.deaf;
    this.deaf = true;
    if (this.#upstream.connected) this.#events.closed(broken || wasDeaf, broken);
  }

  /** A span that cannot be made must not keep the connection from ending. */
  #finish(end: ConnectionEnd): void {
    try {
      this.observer.finish(end);
    } catch (error) {
      this.faulted(error);
      this.#events.degraded('observer_error');
    }
  }

  /** R5: our own fault ends the client's connection and goes no further. */
  #unlessReleased(work: () => void): void {
    if (this.#released) return;
    try {
      work();
    } catch (error) {
      this.#events.failed(error);
    }
  }

  #toClient(bytes: Buffer, from: number, to: number): void {
    if (!this.#events.toClient(takeOut(bytes, from, to))) this.#roomAtClient = false;
    this.observer.serverData(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), to - from);
  }

  #pending(): Exchange | undefined {
    const first = this.#http1?.queue.first;
    return first === undefined || first.responseDone ? undefined : first;
  }

  #writable(): void {
    this.roomAtOrigin = true;
    this.#unlessReleased(() => this.#events.progressed());
  }
}

/** `bytes[from..to)` of a shared buffer as something that stays. */
function takeOut(bytes: Buffer, from: number, to: number): string | Buffer {
  return to - from <= maxStringBytes ? bytes.latin1Slice(from, to) : Buffer.from(bytes.subarray(from, to));
}
