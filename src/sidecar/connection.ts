// One connection from the client joined to one to the server, for life: bytes, back-pressure, and how each end ends.
import type { Socket } from 'node:net';
import type { Address } from '../runtime/address.ts';
import { nowMs } from './clock.ts';
import type { Direction } from './config.ts';
import { SilenceWatch, SpanAllowance } from './connection-guards.ts';
import type { ConnectionEnd, ConnectionObserver } from './connection-observer.ts';
import { Detection, type ObservedConnection } from './detection.ts';
import type { ResponseFlag } from './exchange.ts';
import { isInternalAddress } from './exclusions.ts';
import { SpanTemplate } from './export/span-template.ts';
import type { ConnectionDescription, OpenConnection } from './open-connection.ts';
import { reset } from './reset.ts';
import { errorType } from './socket-errors.ts';
import { SocketWriter, type WriterEvents } from './socket-writer.ts';
import { readInto } from './static-reads.ts';
import { bump, type Protocol } from './stats.ts';
import type { Tracer } from './tracer.ts';
import { Upstream, type UpstreamEvents } from './upstream.ts';

export interface ConnectionOptions {
  readonly direction: Direction;
  readonly target: Address;
  readonly upstreamCluster: string;
  readonly connectTimeoutMs: number;
  /** The descriptor of a socket to reach the target with, or why there is none; undefined: any socket will do. */
  openSocket?(): number | Error | undefined;
  /** Told when `server` has reached the target. */
  reached?(server: Socket): void;
}

/** How long a refusal waits for the client's first bytes, so that the span can say which request it cost. */
const refusalGraceMs = 20;
/** How long a client that has had its answer may take to notice that the server is gone. */
const lingerMs = 1_000;
/** Up to here a string is the cheaper carrier (it needs no buffer of its own), above it a copy. */
const maxStringBytes = 16 << 10;

/** Every socket reads into this one: a chunk is copied out before the callback returns. */
const sharedReadBuffer = Buffer.allocUnsafeSlow(64 << 10);

let lastId = 0;

/** A number for a connection: unique within the process. */
export function newConnectionId(): number {
  return ++lastId;
}

export class Connection implements ObservedConnection, OpenConnection, UpstreamEvents, WriterEvents {
  readonly id = newConnectionId();
  readonly startMs = nowMs();
  readonly options: ConnectionOptions;
  readonly direction: Direction;
  /** By the socket, or by the PROXY header that came first. */
  clientAddress: string;
  clientPort: number;
  internal: boolean;
  protocol: Protocol = 'unknown';
  degradedReason = '';
  bytesFromClient = 0;
  bytesFromServer = 0;
  observer: ConnectionObserver;
  readonly #tracer: Tracer;
  readonly #client: Socket;
  readonly #upstream: Upstream;
  readonly #server: Socket;
  readonly #toClient: SocketWriter;
  readonly #toServer: SocketWriter;
  readonly #onClosed: (connection: Connection) => void;
  readonly #onFault: (error: unknown) => void;
  #template: SpanTemplate | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;
  /** Nothing can be written to the server any more: what the client sends is read and dropped. */
  #serverDeaf = false;
  #roomAtServer = true;
  /** The target refused: the client is reset when its first bytes have been read. */
  #resetOnFirstBytes = false;
  /** `--strict` has answered the client: nothing of the server's reaches it any more. */
  #answered = false;
  /** What ended the connection first. */
  #cause: ConnectionEnd | undefined;
  #closedSides = 0;
  readonly #silence = new SilenceWatch(this.startMs);
  readonly #allowance: SpanAllowance;

  constructor(
    client: Socket,
    options: ConnectionOptions,
    tracer: Tracer,
    onClosed: (connection: Connection) => void,
    onFault: (error: unknown) => void,
  ) {
    this.options = options;
    this.direction = options.direction;
    this.#tracer = tracer;
    this.#client = client;
    this.#onClosed = onClosed;
    this.#onFault = onFault;
    this.clientAddress = plainAddress(client.remoteAddress ?? '');
    this.clientPort = client.remotePort ?? 0;
    this.internal = isInternalAddress(this.clientAddress);
    this.#allowance = new SpanAllowance(tracer.limits.maxSpansPerSecond);
    this.observer = new Detection(tracer, this);
    this.#upstream = new Upstream(
      options.target,
      options.connectTimeoutMs,
      sharedReadBuffer,
      this,
      options.openSocket?.(),
    );
    this.#server = this.#upstream.socket;
    this.#toClient = new SocketWriter(client, this.#upstream);
    this.#toServer = new SocketWriter(this.#server, this);
    this.#watchClient();
    this.#watchServer();
  }

  /** What spans say of the connection: kept once the upstream address is known. */
  get template(): SpanTemplate {
    if (this.#template !== undefined) return this.#template;
    const { direction, target, upstreamCluster } = this.options;
    const template = new SpanTemplate({
      direction,
      clientAddress: this.clientAddress,
      clientPort: this.clientPort,
      upstreamAddress: plainAddress(this.#server.remoteAddress ?? target.host),
      upstreamPort: target.port,
      upstreamCluster,
    });
    if (this.#upstream.connected) this.#template = template;
    return template;
  }

  admitsSpan(now: number): boolean {
    return this.#allowance.take(now);
  }

  /** What `/connections` says of it. */
  describe(): ConnectionDescription {
    const { target } = this.options;
    return {
      id: this.id,
      direction: this.direction,
      protocol: this.protocol,
      client: `${this.clientAddress}:${this.clientPort}`,
      target: `${target.host}:${target.port}`,
      age_ms: Math.round(nowMs() - this.startMs),
      bytes_from_client: this.bytesFromClient,
      bytes_from_server: this.bytesFromServer,
      requests: this.observer.requests,
      requests_open: this.observer.requestsOpen,
      degraded: this.degradedReason === '' ? null : this.degradedReason,
    };
  }

  sweep(now: number): void {
    const { idleTimeoutMs } = this.#tracer.limits;
    const silentForMs = this.#silence.silentForMs(this.bytesFromClient + this.bytesFromServer, now);
    if (idleTimeoutMs === 0 || silentForMs < idleTimeoutMs) {
      this.#guarded(() => this.observer.sweep(now));
      return;
    }
    this.#tracer.stats.of(this.direction).idleTimeouts++;
    this.#ended('SI', 'idle_timeout');
    this.#client.destroy();
    this.#server.destroy();
  }

  // UpstreamEvents.

  data(length: number): boolean {
    this.bytesFromServer += length;
    if (this.#answered) return true;
    const room = this.#toClient.write(takeOut(sharedReadBuffer, length));
    try {
      this.observer.serverData(sharedReadBuffer, length);
    } catch (error) {
      this.#giveUp(error);
    }
    return room;
  }

  connected(): void {
    this.options.reached?.(this.#server);
  }

  connectFailed(reason: string): void {
    if (this.#cause !== undefined) return;
    this.#ended('UF', `connection_${reason}`);
    bump(this.#tracer.stats.of(this.options.direction).connectFailures, reason);
    this.#becomeDeaf();
    this.#server.destroy();
    if (this.bytesFromClient > 0 || reason === 'timeout') reset(this.#client);
    else {
      this.#resetOnFirstBytes = true;
      this.#lingerTimer = setTimeout(() => this.#resetClientSoon(), refusalGraceMs);
    }
  }

  // WriterEvents: of what goes to the server.

  drained(): void {
    this.#client.resume();
  }

  failed(): void {
    this.#becomeDeaf();
  }

  // ByteSink: request bytes on their way to the server.

  write(data: Buffer | string): void {
    if (this.#serverDeaf) return;
    // A buffer is the shared one: it is gone after this call.
    const own = typeof data === 'string' ? data : takeOut(data, data.length);
    if (!this.#toServer.write(own)) this.#roomAtServer = false;
  }

  // ObserverEvents.

  observe(observer: ConnectionObserver): void {
    this.observer = observer;
  }

  detected(protocol: Protocol): void {
    this.protocol = protocol;
  }

  proxied(sourceAddress: string, sourcePort: number): void {
    this.clientAddress = plainAddress(sourceAddress);
    this.clientPort = sourcePort;
    this.internal = isInternalAddress(this.clientAddress);
    this.#template = undefined;
  }

  rested(): void {
    this.#template = undefined;
  }

  refused(reason: string): void {
    this.degradedReason = reason;
    bump(this.#tracer.stats.refusedRequests, reason);
    this.#becomeDeaf();
  }

  answerRefusal(status: number): void {
    this.#toClient.write(refusalAnswer(status, this.degradedReason));
    this.#answered = true;
    this.#client.end();
    this.#server.destroySoon();
    this.#lingerTimer = setTimeout(() => this.#client.destroy(), lingerMs);
  }

  degraded(reason: string): void {
    this.degradedReason = reason;
    bump(this.#tracer.stats.degraded, reason);
  }

  faulted(error: unknown): void {
    try {
      this.#onFault(error);
    } catch {
      // A log that fails must not cost a connection.
    }
  }

  /** As a drain's deadline does. */
  destroy(): void {
    this.#ended('-', 'shutdown');
    this.#client.destroy();
    this.#server.destroy();
  }

  #watchClient(): void {
    const client = this.#client;
    readInto(client, sharedReadBuffer, (length) => this.#clientBytes(length));
    client.on('end', () => {
      this.#guarded(() => this.observer.clientEnded());
      if (!this.#serverDeaf) this.#server.end();
    });
    client.on('error', () => this.#ended('DC', 'client_disconnected'));
    client.on('close', (broken: boolean) => this.#clientClosed(broken));
  }

  #watchServer(): void {
    const server = this.#server;
    server.on('end', () => {
      this.#ended('UC', '');
      this.#guarded(() => this.observer.serverEnded());
      // A write that failed has met a reset, and taken the error with it: what is read after that looks like a FIN.
      if (this.#serverDeaf && this.bytesFromServer === 0 && !this.#answered) reset(this.#client);
      else if (!this.#answered) this.#client.end();
    });
    server.on('error', (error) => {
      if (this.#upstream.connected) this.#ended('UC', errorType(error));
      else this.#upstream.errored(error);
    });
    server.on('close', (broken: boolean) => this.#serverClosed(broken));
  }

  #clientBytes(length: number): boolean {
    this.bytesFromClient += length;
    this.#roomAtServer = true;
    try {
      this.observer.clientData(sharedReadBuffer, length);
    } catch (error) {
      this.#giveUp(error);
    }
    if (this.#resetOnFirstBytes) this.#resetClientSoon();
    return this.#roomAtServer;
  }

  /** The server takes nothing more; the client's bytes are still read, so that the answer can reach it. */
  #becomeDeaf(): void {
    this.#serverDeaf = true;
    this.#client.resume();
  }

  /** Not from within a read of that socket. */
  #resetClientSoon(): void {
    setImmediate(() => reset(this.#client));
  }

  #clientClosed(broken: boolean): void {
    this.#ended('DC', 'client_disconnected');
    if (!this.#server.destroyed) {
      if (broken) this.#server.resetAndDestroy();
      else this.#server.destroySoon();
    }
    this.#sideClosed();
  }

  /** A reset is passed on as a reset, unless an early answer is still to reach a client that is busy sending. */
  #serverClosed(broken: boolean): void {
    this.#upstream.closed();
    const client = this.#client;
    if (!client.destroyed && this.#upstream.connected) {
      if (broken && !this.observer.hasEarlyAnswer && this.#toClient.idle) reset(client);
      else if (broken || this.#serverDeaf) {
        client.end();
        this.#becomeDeaf();
        this.#lingerTimer = setTimeout(() => client.destroy(), lingerMs);
      }
    }
    this.#sideClosed();
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** R5's last resort, for a fault while a fault was handled: how many bytes went on is not known any more. */
  #giveUp(error: unknown): void {
    this.faulted(error);
    bump(this.#tracer.stats.degraded, 'observer_error');
    this.#ended('-', 'observer_error');
    // Not from within a read of these sockets.
    setImmediate(() => {
      this.#client.resetAndDestroy();
      this.#server.resetAndDestroy();
    });
  }

  #ended(flag: ResponseFlag, type: string): void {
    this.#cause ??= { flag, errorType: type };
  }

  #sideClosed(): void {
    if (++this.#closedSides < 2) return;
    clearTimeout(this.#lingerTimer);
    this.#guarded(() => this.observer.finish(this.#cause ?? { flag: '-', errorType: '' }));
    this.#onClosed(this);
  }
}

/** `bytes[0..length)` of the shared buffer as something that stays. */
function takeOut(bytes: Buffer, length: number): string | Buffer {
  return length <= maxStringBytes ? bytes.latin1Slice(0, length) : Buffer.from(bytes.subarray(0, length));
}

/** IPv4 in IPv6 form is shown as IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

/** What `--strict` answers: 400, or 408 for a head that came too slowly. */
function refusalAnswer(status: number, reason: string): string {
  const text = status === 408 ? 'Request Timeout' : 'Bad Request';
  const body = `${text}: ${reason}\n`;
  const fields = `content-type: text/plain\r\ncontent-length: ${body.length}\r\nconnection: close\r\n`;
  return `HTTP/1.1 ${status} ${text}\r\n${fields}\r\n${body}`;
}
