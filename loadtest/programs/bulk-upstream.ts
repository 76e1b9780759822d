// Upstream for large bodies: `GET /down?N`, `GET /chunked?N`, `POST /up` with a Content-Length, and upgrades that swallow all.
import { createServer, type Socket } from 'node:net';
import { chunkedBytes, chunkFrame, lastChunk } from '../bulk.ts';

const block = Buffer.alloc(1 << 20, 'x');
const frames = Buffer.concat(Array.from({ length: 16 }, () => chunkFrame));

/** Writes `bytes` bytes of `pattern`, over and over, no faster than they are taken. */
function pour(socket: Socket, pattern: Buffer, bytes: number, done: () => void): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const piece = left < pattern.length ? pattern.subarray(0, left) : pattern;
      left -= piece.length;
      if (!socket.write(piece)) {
        socket.once('drain', more);
        return;
      }
    }
    done();
  };
  more();
}

function answer(socket: Socket, path: string): void {
  const bytes = Number(path.split('?')[1] ?? '0');
  if (path.startsWith('/chunked')) {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
    pour(socket, frames, chunkedBytes(bytes) - lastChunk.length, () => socket.write(lastChunk));
    return;
  }
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`);
  pour(socket, block, bytes, () => {});
}

/** Takes one request at a time; `left` counts what is still to come of a body. */
function serve(socket: Socket): void {
  let head = '';
  let left = 0;
  const counted = (bytes: number): void => {
    left -= bytes;
    if (left <= 0) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  };
  const read = (chunk: Buffer): void => {
    if (left > 0) {
      counted(chunk.length);
      return;
    }
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const [method = '', path = ''] = head.split(' ', 2);
    const rest = head.length - end - 4;
    left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const upgrade = /\r\nupgrade: *websocket/i.test(head.slice(0, end));
    head = '';
    if (upgrade) {
      socket.off('data', read).resume();
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
    } else if (method === 'POST') counted(rest);
    else answer(socket, path);
  };
  socket.on('data', read);
  socket.on('error', () => socket.destroy());
}

const server = createServer({ noDelay: true }, serve);
server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
