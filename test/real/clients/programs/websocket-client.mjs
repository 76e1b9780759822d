// Sends messages of all sizes to an echo server, one fragmented, a ping between, and closes with a code. Argument: port.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';

const socket = new WebSocket(`ws://127.0.0.1:${process.argv[2]}/echo`, { perMessageDeflate: true });
await once(socket, 'open');
const say = (text) => process.stdout.write(`${text}\n`);
for (const size of [0, 1, 125, 126, 65535, 65536, 3 << 20]) {
  for (const message of ['x'.repeat(size), Buffer.from(Array.from({ length: size }, (_, i) => i & 255))]) {
    socket.send(message);
    const [data, isBinary] = await once(socket, 'message');
    assert.equal(isBinary, typeof message !== 'string');
    assert.ok(data.equals(Buffer.from(message)));
  }
  say(`${size} bytes back`);
  socket.ping();
  await once(socket, 'pong');
}
for (const [i, part] of ['in ', 'three ', 'parts'].entries()) socket.send(part, { fin: i === 2 });
const [data] = await once(socket, 'message');
say(data.toString());
socket.close(4001, 'enough');
const [code, reason] = await once(socket, 'close');
say(`closed ${code} ${reason}`);
