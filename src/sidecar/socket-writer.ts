// Writes to a socket past its stream's bookkeeping, which costs as much as reading a request does; errors end one way only.
import type { Socket } from 'node:net';

type Done = (error?: Error | null) => void;

/** libuv's write request, as node:net itself makes one for each write. */
interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Whose write it is. */
  writer?: SocketWriter;
  /** Keeps the bytes of a pending write alive. */
  buffer?: Buffer;
}

interface StreamHandle {
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
}

interface StreamBinding {
  readonly WriteRequest: new () => WriteRequest;
  /** Whether the last write is still under way, by libuv's own note. */
  readonly isPending: () => boolean;
}

const binding = findBinding();

/** The classes behind node:net; undefined on a Node that does not show them any more: then writes go by the stream. */
function findBinding(): StreamBinding | undefined {
  try {
    const { binding: get } = process as unknown as { binding?: (name: string) => Record<string, unknown> };
    const found = get?.call(process, 'stream_wrap');
    const { WriteWrap, streamBaseState, kLastWriteWasAsync } = found ?? {};
    if (typeof WriteWrap !== 'function' || !(streamBaseState instanceof Int32Array)) return undefined;
    if (typeof kLastWriteWasAsync !== 'number') return undefined;
    const WriteRequest = WriteWrap as StreamBinding['WriteRequest'];
    return { WriteRequest, isPending: () => streamBaseState[kLastWriteWasAsync] !== 0 };
  } catch {
    return undefined;
  }
}

export interface WriterEvents {
  /** Nothing is waiting any more after a `write` that returned false. */
  drained(): void;
  /** Nothing can be written any more; reading goes on. Called once. */
  failed(): void;
}

/**
 * The writing side of a socket. A failed write ends only that: Node itself would destroy the socket then, unread data
 * included, and an early answer would be lost with it (R4).
 */
export class SocketWriter {
  readonly #socket: Socket;
  readonly #events: WriterEvents;
  #failed = false;
  #streamReady = false;
  /** Direct writes that libuv has not finished. */
  #pending = 0;

  constructor(socket: Socket, events: WriterEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  /** Whether everything written so far is with the kernel. */
  get idle(): boolean {
    return this.#pending === 0 && this.#socket.writableLength === 0;
  }

  /** Writes latin1 text or bytes (kept until they are gone); false when the peer takes less than comes. */
  write(data: string | Buffer): boolean {
    if (this.#failed) return true;
    const socket = this.#socket;
    const handle =
      binding === undefined || socket.connecting || socket.writableLength > 0 ? undefined : handleOf(socket);
    if (handle === undefined || !socket.writable) return socket.writable ? this.#writeByStream(data) : true;
    return this.#writeDirectly(handle, data);
  }

  #writeByStream(data: string | Buffer): boolean {
    if (!this.#streamReady) this.#prepareStream();
    return this.#socket.write(data);
  }

  #writeDirectly(handle: StreamHandle, data: string | Buffer): boolean {
    const request = new binding!.WriteRequest();
    const status =
      typeof data === 'string' ? handle.writeLatin1String(request, data) : handle.writeBuffer(request, data);
    if (status !== 0) {
      this.#fail();
      return true;
    }
    if (!binding!.isPending()) return this.#pending === 0;
    if (typeof data !== 'string') request.buffer = data;
    request.writer = this;
    request.oncomplete = completed;
    this.#pending++;
    return false;
  }

  /** libuv has finished a write that it could not do at once. */
  completed(status: number): void {
    this.#pending--;
    if (status < 0) this.#fail();
    if (this.#pending === 0 && !this.#socket.destroyed) this.#events.drained();
  }

  #fail(): void {
    if (this.#failed) return;
    this.#failed = true;
    if (!this.#socket.destroyed) this.#events.failed();
  }

  /**
   * Makes the stream's way as this one: bytes written while connecting go there, and all bytes where nothing else is to
   * be had. Done when it is first needed, which for most sockets is never.
   */
  #prepareStream(): void {
    this.#streamReady = true;
    const socket = this.#socket;
    // Strings here are bytes; said once, it is not checked at each write.
    socket.setDefaultEncoding('latin1');
    socket.on('drain', () => this.#events.drained());
    const write = socket._write;
    const writev = socket._writev;
    // The stream has at most one write under way, so its callback needs no closure of its own.
    let done: Done = () => {};
    const contained: Done = (error) => {
      if (error) this.#fail();
      done();
    };
    socket._write = (chunk, encoding, callback) => {
      done = callback;
      if (this.#failed) callback();
      else write.call(socket, chunk, encoding, contained);
    };
    if (writev === undefined) return;
    socket._writev = (chunks, callback) => {
      done = callback;
      if (this.#failed) callback();
      else writev.call(socket, chunks, contained);
    };
  }
}

function completed(this: WriteRequest, status: number): void {
  this.writer!.completed(status);
}

function handleOf(socket: Socket): StreamHandle | undefined {
  const handle = '_handle' in socket ? socket._handle : undefined;
  return typeof handle === 'object' && handle !== null ? (handle as StreamHandle) : undefined;
}
