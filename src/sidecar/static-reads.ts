// Reads an accepted socket into one static buffer, as `onread` does for sockets we connect ourselves.
import { type Socket, Socket as SocketClass } from 'node:net';

/** Called with the number of bytes now in the buffer; false stops reading until `resume`. */
export type OnBytes = (length: number) => boolean;

type Internals = Readonly<Record<symbol, unknown>>;

/**
 * `net.connect` takes `onread`, a server does not, though its sockets have the same fields behind the same symbols.
 * They are looked up once; on a Node that has them no more, reads go by `data` events.
 */
const symbols = findSymbols();

function findSymbols(): { buffer: symbol; callback: symbol } | undefined {
  const own = Object.getOwnPropertySymbols(new SocketClass());
  const buffer = own.find((symbol) => symbol.description === 'kBuffer');
  const callback = own.find((symbol) => symbol.description === 'kBufferCb');
  return buffer !== undefined && callback !== undefined ? { buffer, callback } : undefined;
}

interface Handle {
  useUserBuffer(buffer: Uint8Array): void;
}

function handleOf(socket: Socket): Handle | undefined {
  const handle = '_handle' in socket ? socket._handle : undefined;
  const usable = typeof handle === 'object' && handle !== null && 'useUserBuffer' in handle;
  return usable ? (handle as Handle) : undefined;
}

/**
 * From now on what `socket` receives is put into `buffer` before each call of `onBytes`; the bytes are valid during the
 * call only, so many sockets may share one buffer. Call it before the first read.
 */
export function readInto(socket: Socket, buffer: Buffer, onBytes: OnBytes): void {
  const handle = handleOf(socket);
  if (symbols === undefined || handle === undefined || (socket as unknown as Internals)[symbols.buffer] !== null) {
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += buffer.length) {
        const length = chunk.copy(buffer, 0, at);
        if (!onBytes(length)) socket.pause();
      }
    });
    return;
  }
  Object.assign(socket, { [symbols.buffer]: buffer, [symbols.callback]: onBytes });
  handle.useUserBuffer(buffer);
}
