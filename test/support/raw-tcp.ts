// TCP servers and clients that see and send exact bytes.
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';

export interface Recorded {
  readonly socket: net.Socket;
  /** Every byte this connection has sent so far. */
  bytes(): Buffer;
  /** Resolves at the peer's FIN (or the end of the connection). */
  readonly ended: Promise<void>;
}

export interface RawServer {
  readonly port: number;
  /** All connections, in the order they came. */
  readonly connections: readonly Recorded[];
}

/**
 * A server on 127.0.0.1. `onData` is called after every read with the connection; `onConnect` at accept.
 * It keeps its side open when the peer half-closes. Everything ends with the test.
 */
export async function startRawServer(
  t: TestContext,
  handlers: {
    readonly onConnect?: (connection: Recorded) => void;
    readonly onData?: (connection: Recorded) => void;
    readonly onEnd?: (connection: Recorded) => void;
  },
): Promise<RawServer> {
  const connections: Recorded[] = [];
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const chunks: Buffer[] = [];
    const ended = new Promise<void>((resolve) => {
      socket.once('end', resolve);
      socket.once('close', () => resolve());
    });
    const connection: Recorded = { socket, ended, bytes: () => Buffer.concat(chunks) };
    connections.push(connection);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      handlers.onData?.(connection);
    });
    socket.on('end', () => {
      if (handlers.onEnd === undefined) socket.end();
      else handlers.onEnd(connection);
    });
    handlers.onConnect?.(connection);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const { socket } of connections) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { port: (server.address() as net.AddressInfo).port, connections };
}

export interface RawClient {
  readonly socket: net.Socket;
  bytes(): Buffer;
  /** The first `length` bytes received; rejects when the connection ends before. */
  read(length: number): Promise<Buffer>;
  /** The bytes up to and with `marker` (latin1), searched from `from`. */
  readUntil(marker: string, from?: number): Promise<Buffer>;
  /** All bytes until the peer's FIN; rejects on a reset. */
  readToEnd(): Promise<Buffer>;
  /** How the connection ended: undefined for FIN, else the error code. */
  readonly closed: Promise<string | undefined>;
}

/** Connects to a port of 127.0.0.1; the connection ends with the test. */
export async function connectRaw(t: TestContext, port: number): Promise<RawClient> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  t.after(() => socket.destroy());
  const chunks: Buffer[] = [];
  let ended = false;
  let failure: (Error & { code?: string }) | undefined;
  const wakers = new Set<() => void>();
  const wake = () => {
    for (const waker of wakers) waker();
  };
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    wake();
  });
  const closed = new Promise<string | undefined>((resolve) => {
    socket.once('end', () => resolve(undefined));
    socket.once('close', () => resolve(failure?.code));
  });
  socket.on('end', () => {
    ended = true;
    wake();
  });
  socket.on('error', (error) => {
    failure = error;
    wake();
  });
  socket.on('close', () => {
    ended = true;
    wake();
  });
  await once(socket, 'connect');

  const bytes = () => Buffer.concat(chunks);
  const waitFor = <T>(find: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => fail(new Error(`nothing more after ${bytes().length} bytes: ${excerpt(bytes())}`)),
        10_000,
      );
      const fail = (error: Error) => {
        clearTimeout(timer);
        wakers.delete(waker);
        reject(error);
      };
      const waker = () => {
        const value = find();
        if (value !== undefined) {
          clearTimeout(timer);
          wakers.delete(waker);
          resolve(value);
        } else if (failure !== undefined) fail(failure);
        else if (ended) fail(new Error(`the connection ended after ${bytes().length} bytes: ${excerpt(bytes())}`));
      };
      wakers.add(waker);
      waker();
    });
  return {
    socket,
    bytes,
    closed,
    read: (length) => waitFor(() => (bytes().length >= length ? bytes().subarray(0, length) : undefined)),
    readUntil: (marker, from = 0) =>
      waitFor(() => {
        const at = bytes().indexOf(marker, from, 'latin1');
        return at < 0 ? undefined : bytes().subarray(0, at + marker.length);
      }),
    readToEnd: () => waitFor(() => (ended && failure === undefined ? bytes() : undefined)),
  };
}

function excerpt(bytes: Buffer): string {
  return JSON.stringify(bytes.subarray(0, 200).toString('latin1'));
}

/** Writes bytes in pieces of the given sizes, over and over, each handed to the socket by itself. */
export async function writeInPieces(socket: net.Socket, bytes: Buffer, sizes: readonly number[]): Promise<void> {
  let offset = 0;
  for (let i = 0; offset < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    const flushed = socket.write(bytes.subarray(offset, offset + size));
    offset += size;
    if (flushed) await new Promise(setImmediate);
    else await once(socket, 'drain');
  }
}

/** Ends a connection by RST and nothing before it; `resetAndDestroy` of Node would send a FIN first. */
export function sendReset(socket: net.Socket): void {
  Reflect.set(socket, 'resetAndClosing', true);
  socket.destroy();
}
