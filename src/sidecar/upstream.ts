// The connection to the target while it is being made: how long that may take, and how it failed (R8).
import { connect, type Socket } from 'node:net';
import type { Address } from '../runtime/address.ts';
import { connectFailure } from './socket-errors.ts';

export const keepAliveDelayMs = 30_000;

export interface UpstreamEvents {
  /** `length` bytes are in the read buffer; false stops reading until `resume`. */
  data(length: number): boolean;
  connected(): void;
  /** `refused`, `timeout`, `unreachable`, `dns` or `failed`; called once, and never after `connected`. */
  connectFailed(reason: string): void;
}

export class Upstream {
  readonly socket: Socket;
  connected = false;
  #over = false;
  readonly #timer: NodeJS.Timeout;
  readonly #events: UpstreamEvents;

  /** Begins to connect; what is written meanwhile goes as soon as that is done. */
  constructor(target: Address, connectTimeoutMs: number, readBuffer: Buffer, events: UpstreamEvents) {
    this.#events = events;
    this.#timer = setTimeout(() => this.#failed('timeout'), connectTimeoutMs);
    this.socket = connect({
      host: target.host,
      port: target.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMs,
      allowHalfOpen: true,
      onread: { buffer: readBuffer, callback: (length) => events.data(length) },
    });
    this.socket.on('connect', () => {
      clearTimeout(this.#timer);
      this.connected = true;
      events.connected();
    });
    this.socket.on('error', (error) => this.#failed(connectFailure(error)));
    this.socket.on('close', () => clearTimeout(this.#timer));
  }

  #failed(reason: string): void {
    if (this.connected || this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#events.connectFailed(reason);
  }
}
