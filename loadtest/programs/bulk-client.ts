// Moves one large body through a proxy and times it: `bulk-client PORT down|chunked|up BYTES`.
import { connect, type Socket } from 'node:net';
import { type BulkKind, chunkedBytes } from '../bulk.ts';

const [portText = '', kindText = '', bytesText = ''] = process.argv.slice(2);
const kind = kindText as BulkKind;
const bytes = Number(bytesText);
const buffer = Buffer.allocUnsafe(1 << 20);
const bodyBytes = kind === 'up' ? 0 : kind === 'chunked' ? chunkedBytes(bytes) : bytes;
let startedMs = 0;
let head = '';
let headDone = false;
let received = 0;

function finish(): void {
  const durationUs = Math.round((performance.now() - startedMs) * 1000);
  const ok = head.startsWith('HTTP/1.1 200 ') && received === bodyBytes;
  process.stdout.write(`${JSON.stringify({ ok, received, durationUs })}\n`, () => process.exit(0));
}

function read(count: number, into: Uint8Array): boolean {
  let body = count;
  if (!headDone) {
    head += Buffer.from(into.buffer, into.byteOffset, count).toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return true;
    headDone = true;
    body = head.length - end - 4;
  }
  received += body;
  if (received >= bodyBytes) finish();
  return true;
}

async function upload(socket: Socket): Promise<void> {
  let left = bytes;
  while (left > 0) {
    const piece = left < buffer.length ? buffer.subarray(0, left) : buffer;
    left -= piece.length;
    if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve));
  }
}

const onread = { buffer: kind === 'up' ? Buffer.alloc(4096) : buffer, callback: read };
const socket = connect({ port: Number(portText), host: '127.0.0.1', noDelay: true, onread });
socket.on('error', finish);
socket.on('close', finish);
socket.on('connect', async () => {
  startedMs = performance.now();
  if (kind !== 'up') {
    socket.write(`GET /${kind}?${bytes} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
    return;
  }
  socket.write(`POST /up HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${bytes}\r\n\r\n`);
  await upload(socket);
});
