// Connects as net.connect does, with a socket that was made by a system call: it has options and a source that Node cannot set.
import { closeSync } from 'node:fs';
import { type OnReadOpts, Socket } from 'node:net';

export interface ConnectOptions {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
  readonly noDelay: boolean;
  readonly keepAlive: boolean;
  readonly keepAliveInitialDelay: number;
  readonly allowHalfOpen: boolean;
  readonly onread: OnReadOpts;
}

/**
 * Begins to connect.
 * @param made the descriptor, which belongs to the socket from here on, or why there is none: then the socket fails with
 * that, as one does that cannot connect
 */
export function connectWith(made: number | Error, options: ConnectOptions): Socket {
  if (typeof made !== 'number') return new Socket({ allowHalfOpen: true }).destroy(made);
  let socket: Socket;
  try {
    // Not to be read before it is connected: that would be an error.
    const notYet = { manualStart: true };
    socket = new Socket({ ...options, ...notYet, fd: made });
  } catch (error) {
    closeSync(made);
    return new Socket({ allowHalfOpen: true }).destroy(error instanceof Error ? error : new Error(String(error)));
  }
  return socket.connect(options);
}
