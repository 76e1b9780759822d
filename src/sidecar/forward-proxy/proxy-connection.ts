// One client of the forward proxy: its socket, the origin its requests go to now, and how each of the two ends.
import type { Socket } from 'node:net';
import { type Address, formatAddress } from '../../runtime/address.ts';
import { nowMs } from '../clock.ts';
import { newConnectionId } from '../connection.ts';
import { SilenceWatch, SlowHeadWatch, SpanAllowance } from '../connection-guards.ts';
import { isInternalAddress } from '../exclusions.ts';
import { SpanTemplate } from '../export/span-template.ts';
import type { ConnectionDescription, OpenConnection } from '../open-connection.ts';
import { SocketWriter } from '../socket-writer.ts';
import { readInto } from '../static-reads.ts';
import { bump, type Protocol } from '../stats.ts';
import type { TracedConnection, Tracer } from '../tracer.ts';
import { Origin, proxyReadBuffer } from './origin.ts';
import type { OriginEvents, ProxyClient } from './origin-events.ts';
import { formatRefusal, type Refusal, refuseLoop, refuseRequest, refuseUnreached, traceRefused } from './refusal.ts';
import { type FlowOwner, RequestFlow } from './request-flow.ts';

export interface ProxyOptions {
  /** Where the proxy listens. */
  readonly bound: Address;
  readonly connectTimeoutMs: number;
  readonly maxHeadBytes: number;
}

/** What the proxy's listener hears of a client. */
export interface ProxyConnectionEvents {
  closed(connection: ProxyConnection): void;
  faulted(error: unknown): void;
}

const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';
/** How long a client that has had its last answer may be silent before it is cut off. */
const lingerMs = 1_000;

export class ProxyConnection implements OpenConnection, ProxyClient, OriginEvents, FlowOwner {
  readonly id = newConnectionId();
  readonly startMs = nowMs();
  readonly direction = 'outbound';
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
  readonly #flow: RequestFlow;
  readonly #silence = new SilenceWatch(this.startMs);
  readonly #slowHead = new SlowHeadWatch();
  readonly #allowance: SpanAllowance;
  /** What the client still sends is read and dropped. */
  #over = false;
  #clientEnded = false;
  #degradedReason = '';
  #lingerTimer: NodeJS.Timeout | undefined;

  constructor(client: Socket, options: ProxyOptions, tracer: Tracer, events: ProxyConnectionEvents) {
    this.#client = client;
    this.#options = options;
    this.#tracer = tracer;
    this.#events = events;
    this.clientAddress = (client.remoteAddress ?? '').replace(/^::ffff:/, '');
    this.clientPort = client.remotePort ?? 0;
    this.internal = isInternalAddress(this.clientAddress);
    this.#allowance = new SpanAllowance(tracer.limits.maxSpansPerSecond);
    this.#flow = new RequestFlow(options.maxHeadBytes, this);
    this.#writer = new SocketWriter(client, {
      drained: () => this.#flow.origin?.resume(),
      failed: () => this.#flow.origin?.resume(),
    });
    this.#watchClient();
  }

  // OpenConnection.

  describe(): ConnectionDescription {
    const { origin, requests, tunnel } = this.#flow;
    return {
      id: this.id,
      direction: this.direction,
      protocol: this.protocol,
      client: `${this.clientAddress}:${this.clientPort}`,
      target: origin === undefined ? '' : formatAddress(origin.target),
      age_ms: Math.round(nowMs() - this.startMs),
      bytes_from_client: this.bytesFromClient,
      bytes_from_server: this.bytesFromServer,
      requests: requests + (tunnel && requests === 0 ? (origin?.observer.requests ?? 0) : 0),
      requests_open: origin?.observer.requestsOpen ?? 0,
      degraded: this.#degradedReason === '' ? null : this.#degradedReason,
    };
  }

  sweep(now: number): void {
    const { idleTimeoutMs, headTimeoutMs } = this.#tracer.limits;
    const silentForMs = this.#silence.silentForMs(this.bytesFromClient + this.bytesFromServer, now);
    if (idleTimeoutMs > 0 && silentForMs >= idleTimeoutMs) {
      this.#tracer.stats.outbound.idleTimeouts++;
      this.#flow.origin?.release({ flag: 'SI', errorType: 'idle_timeout' });
      this.#client.destroy();
      return;
    }
    const { inHead, requests } = this.#flow;
    this.#guarded(() => {
      if (this.#slowHead.isTooSlow(inHead, requests, now, headTimeoutMs)) this.#flow.tooSlow();
      this.#flow.origin?.observer.sweep(now);
    });
  }

  /** As a drain's deadline does. */
  destroy(): void {
    this.#flow.origin?.release({ flag: '-', errorType: 'shutdown' });
    this.#client.destroy();
  }

  // ProxyClient.

  admitsSpan(now: number): boolean {
    return this.#allowance.take(now);
  }

  // FlowOwner.

  get clientClosing(): boolean {
    return this.#client.writableEnded || this.#client.destroyed;
  }

  openOrigin(target: Address, tunnel: boolean): Origin {
    const { connectTimeoutMs, maxHeadBytes } = this.#options;
    if (!tunnel) this.protocol = 'http1';
    return new Origin(target, { tunnel, connectTimeoutMs, maxHeadBytes }, this, this.#tracer, this);
  }

  refuse(reason: string, head: string): void {
    const refusal = refuseRequest(reason, this.#options.bound);
    this.refused(reason);
    this.protocol = 'http1';
    if (head !== '') traceRefused(this.#tracer, this.#toNowhere(), head, nowMs(), refusal);
    this.#answer(refusal, head.startsWith('HEAD '));
  }

  /** Nothing more goes to the client; what it still sends is read, so that what it was sent is not lost (R4). */
  finishClient(): void {
    this.#over = true;
    this.#flow.stop();
    this.#client.end();
    this.#client.resume();
    this.#lingerTimer ??= setTimeout(() => this.#client.destroy(), lingerMs);
  }

  // OriginEvents.

  connected(origin: Origin): boolean {
    if (origin.leadsTo(this.#options.bound)) {
      this.refused('proxy_loop');
      this.#notReached(origin, refuseLoop(origin.target));
      return false;
    }
    if (this.#flow.connected()) {
      this.toClient(established);
      this.progressed();
    }
    return true;
  }

  connectFailed(origin: Origin, reason: string): void {
    bump(this.#tracer.stats.outbound.connectFailures, reason);
    this.#notReached(origin, refuseUnreached(origin.target, reason));
  }

  toClient(data: string | Buffer): boolean {
    this.bytesFromServer += data.length;
    return this.#writer.write(data);
  }

  /** Something has come to its end, or there is room: what waits may go on. */
  progressed(): void {
    if (this.#over) return;
    const flow = this.#flow;
    flow.advance();
    if (this.#clientEnded && flow.settled) {
      if (flow.origin === undefined) this.#client.end();
      else flow.origin.clientEnded();
    } else if (flow.mayRead) this.#client.resume();
  }

  unsolicited(): void {
    this.#flow.origin?.release();
    this.finishClient();
  }

  /** An end is passed on as it would be without a proxy: it may be the end of an answer. */
  ended(): void {
    this.#client.end();
  }

  /** A reset is passed on as a reset, unless an early answer is still to reach a client that is busy sending. */
  closed(broken: boolean, reset: boolean): void {
    const client = this.#client;
    if (client.destroyed) return;
    const mustArrive = this.#flow.origin?.observer.hasEarlyAnswer === true || !this.#writer.idle;
    if (reset && !mustArrive) client.resetAndDestroy();
    else if (broken) this.finishClient();
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
    try {
      this.#events.faulted(error);
    } catch {
      // What tells of faults may have one itself.
    }
  }

  /** R5: where the messages of this connection end is not known any more. */
  failed(error: unknown): void {
    this.faulted(error);
    this.degraded('observer_error');
    this.destroy();
  }

  #watchClient(): void {
    const client = this.#client;
    readInto(client, proxyReadBuffer, (length) => this.#clientBytes(length));
    client.on('end', () => {
      this.#clientEnded = true;
      this.#guarded(() => this.progressed());
    });
    client.on('error', () => {});
    client.on('close', (broken: boolean) => {
      clearTimeout(this.#lingerTimer);
      this.#flow.origin?.release({ flag: 'DC', errorType: 'client_disconnected' }, broken);
      this.#events.closed(this);
    });
  }

  #clientBytes(length: number): boolean {
    this.bytesFromClient += length;
    if (this.#over) {
      this.#lingerTimer?.refresh();
      return true;
    }
    this.#guarded(() => this.#flow.consume(proxyReadBuffer, length));
    return this.#flow.mayRead;
  }

  /** The request that wanted to go there is answered here. */
  #notReached(origin: Origin, refusal: Refusal): void {
    const { connecting } = this.#flow;
    const isHead = origin.firstMethod === 'HEAD';
    if (connecting === undefined) origin.answered(refusal.status, { flag: refusal.flag, errorType: refusal.reason });
    else traceRefused(this.#tracer, this.#toNowhere(), connecting.head, connecting.startMs, refusal);
    origin.release(undefined, true);
    this.#answer(refusal, isHead);
  }

  #answer(refusal: Refusal, isHead: boolean): void {
    if (!this.#client.destroyed) this.toClient(formatRefusal(refusal, isHead));
    this.#flow.origin?.release();
    this.finishClient();
  }

  /** A connection that leads nowhere, for the span of a request that no origin has seen. */
  #toNowhere(): TracedConnection {
    const { clientAddress, clientPort, internal, startMs, bytesFromClient, bytesFromServer } = this;
    const { host, port } = this.#flow.origin?.target ?? { host: '', port: this.#options.bound.port };
    const template = new SpanTemplate({
      direction: this.direction,
      clientAddress,
      clientPort,
      upstreamAddress: '',
      upstreamPort: port,
      upstreamCluster: `outbound|${port}||${host}`,
    });
    const admitsSpan = (now: number) => this.admitsSpan(now);
    return { direction: this.direction, template, internal, startMs, bytesFromClient, bytesFromServer, admitsSpan };
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failed(error);
    }
  }
}
