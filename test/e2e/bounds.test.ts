// Promise: memory is bounded whatever the ends do, heads are not blown up, and spans tell no secrets.
import assert from 'node:assert/strict';
import type net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { eventually } from '../support/eventually.ts';
import { ourLines } from '../support/http-heads.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar, startSidecarAndSink } from '../support/sidecar.ts';

const total = 64 << 20;
const piece = Buffer.alloc(1 << 18, 'x');
const head = `HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`;

/** Writes `total` bytes as fast as the socket takes them; tells how many it took so far. */
function pour(socket: net.Socket): () => number {
  let queued = 0;
  const pump = () => {
    while (queued < total && !socket.destroyed) {
      queued += piece.length;
      if (!socket.write(piece)) return;
    }
  };
  socket.on('drain', pump);
  pump();
  return () => queued - socket.writableLength;
}

/** The value once it has stayed the same for 300 ms: a stall cannot be awaited otherwise. */
async function stalledAt(read: () => number): Promise<number> {
  for (let last = -1; ; ) {
    const now = read();
    if (now === last) return now;
    last = now;
    await sleep(300);
  }
}

test('a client that does not read holds the server back, and gets everything when it reads', async (t) => {
  let taken = () => 0;
  const server = await startRawServer(t, {
    onData({ socket }) {
      socket.write(head);
      taken = pour(socket);
    },
  });
  const { sidecar, sink } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.pause();
  client.socket.write('GET /big HTTP/1.1\r\nHost: h\r\n\r\n');
  await eventually('the server writes', () => taken() > 0);
  const stalled = await stalledAt(() => taken());
  assert.ok(stalled < 24 << 20, `${stalled} bytes went into nowhere`);
  assert.ok(sumOf(await sidecar.metrics(), 'process_resident_memory_bytes') < 200 << 20);
  let received = 0;
  client.socket.removeAllListeners('data');
  client.socket.on('data', (chunk) => {
    received += chunk.length;
  });
  client.socket.resume();
  await eventually('all bytes', () => received === head.length + total, 30_000);
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 200);
});

test('a server that does not read holds the client back, and gets everything when it reads', async (t) => {
  let received = 0;
  const server = await startRawServer(t, {
    onConnect({ socket }) {
      socket.pause();
      socket.removeAllListeners('data');
      socket.on('data', (chunk) => {
        received += chunk.length;
        if (chunk.includes('the end')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      });
      socket.pause();
    },
  });
  const { sidecar, sink } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(`PUT /big HTTP/1.1\r\nHost: h\r\nContent-Length: ${total + 7}\r\n\r\n`);
  const taken = pour(client.socket);
  const stalled = await stalledAt(taken);
  assert.ok(stalled < 24 << 20, `${stalled} bytes went into nowhere`);
  server.connections[0]!.socket.resume();
  await eventually('all was written', () => taken() === total, 30_000);
  client.socket.write('the end');
  await client.readUntil('200 OK');
  assert.ok(received > total);
  await sink.received(1);
});

test('a head that would pass --max-added-head is left as it is, counted, and still a span', async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write('HTTP/1.1 204 N\r\n\r\n') });
  const sink = await startOtlpSink(t);
  const args = ['--max-added-head', '1000'];
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url, args });
  const client = await connectRaw(t, sidecar.inbound);
  const request = (length: number) => `GET /x HTTP/1.1\r\nHost: h\r\nX-Long: ${'x'.repeat(length)}\r\n\r\n`;
  client.socket.write(request(900));
  await client.readUntil('204 N\r\n\r\n');
  assert.equal(server.connections[0]!.bytes().toString(), request(900));
  const before = server.connections[0]!.bytes().length;
  client.socket.write(request(100));
  await client.read(2 * 'HTTP/1.1 204 N\r\n\r\n'.length);
  assert.match(ourLines(server.connections[0]!.bytes().subarray(before)).get('traceparent') ?? '', /^00-/);
  await sink.received(2);
  assert.equal(sumOf(await sidecar.metrics(), 'tracecar_head_budget_total'), 1);
});

test('spans hold no values of the query, no credentials, no cookies', async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write('HTTP/1.1 204 N\r\n\r\n') });
  const { sidecar, sink } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(
    'GET /login?token=hunter2&user=alice#frag HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer hunter2\r\n' +
      'Cookie: session=hunter2\r\nX-Api-Key: hunter2\r\n\r\n',
  );
  await client.readUntil('204 N');
  const [span] = await sink.received(1);
  const told = JSON.stringify({ name: span!.name, attributes: span!.attributes });
  assert.ok(told.includes('/login'));
  assert.ok(!/hunter2|alice/.test(told), told);
});

test('a thousand connections at once are all joined, and all forgotten afterwards', async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write('HTTP/1.1 204 N\r\n\r\n') });
  const { sidecar, sink } = await startSidecarAndSink(t, server.port);
  const clients = await Promise.all(Array.from({ length: 1000 }, () => connectRaw(t, sidecar.inbound)));
  for (const client of clients) client.socket.write('GET /x HTTP/1.1\r\nHost: h\r\n\r\n');
  await Promise.all(clients.map((client) => client.readUntil('204 N\r\n\r\n')));
  assert.equal(sumOf(await sidecar.metrics(), 'tracecar_connections'), 1000);
  for (const client of clients) client.socket.end();
  await sink.received(1000);
  await eventually('no connection is left', async () => sumOf(await sidecar.metrics(), 'tracecar_connections') === 0);
});
