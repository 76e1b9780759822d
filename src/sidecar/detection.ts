// Finds out by reading along what a connection speaks, and hands it to the observer for that (R12); no byte waits for it.

import { startsLikePostgres } from '../wire/postgres/ssl-request.ts';
import { couldBeProxyHeader, ProxyHeaderReader } from '../wire/proxy-protocol/reader.ts';
import type { ConnectionEnd, ConnectionObserver, ObserverEvents } from './connection-observer.ts';
import { Http1Observer } from './http1-observer.ts';
import type { ByteSink } from './http1-requests.ts';
import { OpaqueObserver } from './opaque-observer.ts';
import type { TracedConnection, Tracer } from './tracer.ts';

/** All that observers ask of their connection. */
export interface ObservedConnection extends TracedConnection, ByteSink, ObserverEvents {
  /** A PROXY header said where the client really is. */
  proxied(sourceAddress: string, sourcePort: number): void;
}

type Found = 'http1' | 'http2' | 'tls' | 'postgresql' | 'proxy' | 'opaque';

const http2Preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const httpVersion = Buffer.from('HTTP/');
const noBytes = Buffer.alloc(0);

/** The first observer of every connection. */
export class Detection implements ConnectionObserver {
  readonly requests = 0;
  readonly requestsOpen = 0;
  readonly hasEarlyAnswer = false;
  readonly #tracer: Tracer;
  readonly #connection: ObservedConnection;
  /** Bytes that have gone on and do not yet tell. */
  #prefix = noBytes;
  #proxy: ProxyHeaderReader | undefined;
  #proxySeen = false;
  /** Bytes of the current chunk that have gone on. */
  #committed = 0;

  constructor(tracer: Tracer, connection: ObservedConnection) {
    this.#tracer = tracer;
    this.#connection = connection;
  }

  clientData(chunk: Buffer, length: number): void {
    this.#committed = 0;
    try {
      this.#read(chunk, length);
    } catch (error) {
      this.#fault(error);
    }
    this.#pass(chunk, length);
  }

  clientEnded(): void {}

  serverData(bytes: Buffer, length: number): void {
    try {
      // A server that speaks first, or one that says HTTP unasked: either way the connection is known now.
      const isHttp = bytes.compare(httpVersion, 0, Math.min(length, 5), 0, Math.min(length, 5)) === 0;
      const observer =
        isHttp && !this.#proxySeen ? this.#http1() : new OpaqueObserver('opaque', this.#tracer, this.#connection);
      this.#become(observer);
      observer.serverData(bytes, length);
    } catch (error) {
      this.#fault(error);
    }
  }

  serverEnded(): void {}

  sweep(): void {}

  finish(end: ConnectionEnd): void {
    // A connection without a byte makes no span (R8).
    if (this.#prefix.length === 0 && this.#proxy === undefined && !this.#proxySeen) return;
    const observer = new OpaqueObserver('opaque', this.#tracer, this.#connection);
    this.#become(observer);
    observer.finish(end);
  }

  /** R5: what goes wrong here makes the connection opaque. */
  #fault(error: unknown): void {
    this.#connection.faulted(error);
    this.#connection.degraded('observer_error');
    this.#become(new OpaqueObserver('opaque', this.#tracer, this.#connection));
  }

  #read(chunk: Buffer, length: number): void {
    let at = 0;
    if (this.#proxy !== undefined) {
      at = this.#readProxyHeader(this.#proxy, chunk, 0, length);
      if (at === length) return;
    }
    const undecided = this.#prefix.length > 0;
    const seen = undecided ? Buffer.concat([this.#prefix, chunk.subarray(at, length)]) : chunk;
    const from = undecided ? 0 : at;
    const to = undecided ? seen.length : length;
    const found = detect(seen, from, to, !this.#proxySeen);
    if (found === undefined) {
      this.#pass(chunk, length);
      this.#prefix = Buffer.from(seen.subarray(from, to));
      return;
    }
    if (found === 'proxy') this.#startProxyHeader(chunk, seen, from, to, length);
    else this.#handOver(found, chunk, at, length);
  }

  /** `seen[from..to)` begins with a PROXY header; `chunk[0..length)` ends where it ends. */
  #startProxyHeader(chunk: Buffer, seen: Buffer, from: number, to: number, length: number): void {
    const reader = new ProxyHeaderReader();
    this.#proxy = reader;
    this.#prefix = noBytes;
    const end = this.#readProxyHeader(reader, seen, from, to);
    if (end === to) return;
    // What follows the header lies in this chunk: it is longer than any undecided prefix.
    const rest = length - (to - end);
    this.#passUpTo(chunk, rest);
    const found = detect(chunk, rest, length, false);
    if (found === undefined) this.#prefix = Buffer.from(chunk.subarray(rest, length));
    else if (found !== 'proxy') this.#handOver(found, chunk, rest, length);
  }

  /** @returns the index behind the header, `to` when more is needed or nothing more is to be read here */
  #readProxyHeader(reader: ProxyHeaderReader, bytes: Buffer, from: number, to: number): number {
    const end = reader.read(bytes, from, to);
    if (end < 0) {
      this.#become(new OpaqueObserver('opaque', this.#tracer, this.#connection));
      this.#connection.degraded('bad_proxy_header');
      return to;
    }
    if (!reader.done) return to;
    this.#proxy = undefined;
    this.#proxySeen = true;
    if (!reader.local && reader.sourceAddress !== '') {
      this.#connection.proxied(reader.sourceAddress, reader.sourcePort);
    }
    return end;
  }

  /** The protocol is known: its observer reads what was undecided and the rest of the chunk, from `at`. */
  #handOver(found: Exclude<Found, 'proxy'>, chunk: Buffer, at: number, length: number): void {
    const observer = found === 'http1' ? this.#http1() : new OpaqueObserver(found, this.#tracer, this.#connection);
    this.#passUpTo(chunk, at);
    if (this.#prefix.length > 0) observer.forwarded(this.#prefix);
    this.#prefix = noBytes;
    this.#become(observer);
    this.#committed = length;
    if (at === 0) observer.clientData(chunk, length);
    else if (at < length) observer.clientData(chunk.subarray(at, length), length - at);
  }

  #http1(): Http1Observer {
    return new Http1Observer(this.#tracer, this.#connection);
  }

  #become(observer: ConnectionObserver): void {
    this.#connection.observe(observer);
  }

  #passUpTo(chunk: Buffer, to: number): void {
    if (to <= this.#committed) return;
    const from = this.#committed;
    this.#committed = to;
    this.#connection.write(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }

  #pass(chunk: Buffer, length: number): void {
    this.#passUpTo(chunk, length);
  }
}

/** What `bytes[from..to)`, the first a client sent, begin with; undefined when they are too few to tell. */
function detect(bytes: Buffer, from: number, to: number, proxyAllowed: boolean): Found | undefined {
  const first = bytes[from]!;
  if (first === 0x16) return 'tls';
  if (first === 0x00)
    return startsLikePostgres(bytes, from, to) ? (to - from < 8 ? undefined : 'postgresql') : 'opaque';
  if (proxyAllowed && couldBeProxyHeader(bytes, from, to)) return to - from < 12 ? undefined : 'proxy';
  if (first === 0x50 && beginsWith(bytes, from, to, http2Preface)) {
    return to - from < http2Preface.length ? undefined : 'http2';
  }
  return 'http1';
}

/** Whether `bytes[from..to)` is, as far as it goes, `start`. */
function beginsWith(bytes: Uint8Array, from: number, to: number, start: Uint8Array): boolean {
  for (let i = 0; i < start.length && from + i < to; i++) if (bytes[from + i] !== start[i]) return false;
  return true;
}
