// Promise: a server that resets at once is seen to reset, however the reset and the first request cross.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, sendReset, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar } from '../support/sidecar.ts';

test('a connection that is reset as soon as it is there is a reset for the client, every time', async (t) => {
  const server = await startRawServer(t, { onConnect: ({ socket }) => sendReset(socket) });
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { outbound: [server.port], otlp: sink.url });
  const ends: (string | undefined)[] = [];
  for (let i = 0; i < 100; i++) {
    // The reset may come before the client knows that it is connected.
    const end = connectRaw(t, sidecar.outbound[0]!).then((client) => {
      client.socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      return client.closed;
    });
    ends.push(await end.catch((error: NodeJS.ErrnoException) => error.code));
  }
  assert.deepEqual(ends, Array(100).fill('ECONNRESET'));
});
