// Follows a connection that is not read, TLS above all: what its first bytes say, how long it lasts, and one span for it.
import type { ConnectionEnd, ConnectionObserver } from './connection-observer.ts';
import { ConnectionSpan, type OpaqueProtocol } from './connection-span.ts';
import type { ObservedConnection } from './detection.ts';
import { Prelude } from './prelude.ts';
import type { Tracer } from './tracer.ts';

export class OpaqueObserver implements ConnectionObserver {
  readonly requests = 0;
  readonly requestsOpen = 0;
  readonly hasEarlyAnswer = false;
  readonly #tracer: Tracer;
  readonly #connection: ObservedConnection;
  readonly #span: ConnectionSpan;
  /** Reads the first bytes along; undefined when they have said all they can. */
  #prelude: Prelude | undefined;

  constructor(protocol: OpaqueProtocol, tracer: Tracer, connection: ObservedConnection) {
    this.#tracer = tracer;
    this.#connection = connection;
    this.#span = new ConnectionSpan(protocol, connection.startMs);
    this.#prelude = protocol === 'tls' || protocol === 'postgresql' ? new Prelude(protocol, this.#span) : undefined;
    connection.detected(protocol);
    this.#guarded(() => tracer.openConnection(this.#span, connection));
  }

  /** Bytes that have gone to the server before this observer was there. */
  forwarded(bytes: Buffer): void {
    this.#read(bytes, bytes.length);
  }

  clientData(chunk: Buffer, length: number): void {
    if (this.#prelude !== undefined) this.#read(chunk, length);
    this.#connection.write(length === chunk.length ? chunk : chunk.subarray(0, length));
  }

  clientEnded(): void {
    this.#span.clientEnded = true;
  }

  serverData(): void {
    if (this.#span.firstServerByteMs === 0) this.#guarded(() => this.#span.answered());
  }

  serverEnded(): void {}

  sweep(nowMs: number): void {
    this.#guarded(() => this.#tracer.continueConnection(this.#span, this.#connection, nowMs));
  }

  finish(end: ConnectionEnd): void {
    this.#guarded(() => this.#tracer.closeConnection(this.#span, this.#connection, end));
  }

  #read(bytes: Buffer, length: number): void {
    this.#guarded(() => {
      if (this.#prelude?.read(bytes, length) === false) {
        this.#prelude = undefined;
        this.#connection.detected(this.#span.protocol);
      }
    });
  }

  /** R5: what goes wrong here costs the span, never a byte. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#prelude = undefined;
      this.#connection.faulted(error);
      this.#connection.degraded('observer_error');
    }
  }
}
