// The connection to the target while it is being made: how long that may take, and how it failed (R8).
import { connect, type Socket } from 'node:net';
import type { Address } from '../runtime/address.ts';
import { connectWith } from '../runtime/socket/connect-with.ts';
import { keepAliveDelayMs } from './accept.ts';
import { connectFailure } from './socket-errors.ts';
import type { WriterEvents } from './socket-writer.ts';

export interface UpstreamEvents {
  /** `length` bytes are in the read buffer; false stops reading until `resume`. */
  data(length: number): boolean;
  connected(): void;
  /** `refused`, `timeout`, `unreachable`, `dns` or `failed`; called once, and never after `connected`. */
  connectFailed(reason: string): void;
}

export class Upstream implements WriterEvents {
  readonly socket: Socket;
  connected = false;
  #over = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #events: UpstreamEvents;

  /**
   * Begins to connect; what is written meanwhile goes as soon as that is done.
   * @param made the descriptor of the socket to do it with, or why none could be made, which is told as a failure
   */
  constructor(
    target: Address,
    connectTimeoutMs: number,
    readBuffer: Buffer,
    events: UpstreamEvents,
    made?: number | Error,
  ) {
    this.#events = events;
    this.#timer = setTimeout(() => this.#failed('timeout'), connectTimeoutMs);
    const options = {
      host: target.host,
      port: target.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
      allowHalfOpen: true,
      onread: { buffer: readBuffer, callback: (length: number) => events.data(length) },
    };
    this.socket = made === undefined ? connect(options) : connectWith(made, options);
    this.socket.once('connect', () => {
      this.#stopTimer();
      this.connected = true;
      events.connected();
    });
  }

  // The writer of the other side: what is read here goes there.

  drained(): void {
    this.socket.resume();
  }

  failed(): void {
    this.socket.resume();
  }

  /** To be called with each `error` of the socket; one after `connected` is the caller's business. */
  errored(error: unknown): void {
    this.#failed(connectFailure(error));
  }

  /** To be called when the socket has closed. */
  closed(): void {
    this.#stopTimer();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #failed(reason: string): void {
    if (this.connected || this.#over) return;
    this.#over = true;
    this.#stopTimer();
    this.#events.connectFailed(reason);
  }
}
