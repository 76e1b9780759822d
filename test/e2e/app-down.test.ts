// Promise: an application that is down or dies looks to its client as it would without a sidecar; the span says why.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { deadPort } from '../support/dead-port.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, sendReset, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar } from '../support/sidecar.ts';

const request = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n';

async function unusedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('nobody listens: the client sees a reset, the span says connection refused', async (t) => {
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: await deadPort(t), otlp: sink.url });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  assert.equal(await client.closed, 'ECONNRESET');
  const [span] = await sink.received(1);
  assert.equal(span!.statusCode, 2);
  assert.match(`${span!.attributes['error.type']} ${span!.statusMessage}`, /refused/i);
  assert.equal(sink.spans.length, 1);
});

test('the application comes up again: the next connection works', async (t) => {
  const port = await unusedPort();
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: port, otlp: sink.url });
  const refused = await connectRaw(t, sidecar.inbound);
  refused.socket.write(request);
  await refused.closed;
  // At the request, not at accept: an answer that comes before is one nobody asked for (R7).
  const server = net.createServer((socket) =>
    socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')),
  );
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.readUntil('HTTP/1.1 200 OK');
  await sink.received(1, (span) => span.statusCode !== 2);
});

test('the application resets in the middle of its answer: so does the connection, and the span is an error', async (t) => {
  const partial = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf';
  const server = await startRawServer(t, {
    onData({ socket }) {
      socket.write(partial);
    },
  });
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.read(partial.length);
  sendReset(server.connections[0]!.socket);
  assert.equal(await client.closed, 'ECONNRESET');
  const [span] = await sink.received(1);
  assert.equal(span!.statusCode, 2);
  assert.equal(span!.attributes['http.response.status_code'], 200);
  assert.ok(String(span!.attributes['error.type'] ?? '') !== '');
});

test('the application closes without an answer: FIN for FIN, and the span is an error without a status code', async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.end() });
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  assert.equal((await client.readToEnd()).length, 0);
  client.socket.end();
  const [span] = await sink.received(1);
  assert.equal(span!.statusCode, 2);
  assert.ok(!('http.response.status_code' in span!.attributes));
});

test('a client that resets resets the application, and the span says so', async (t) => {
  const server = await startRawServer(t, {});
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  while (server.connections.length === 0 || server.connections[0]!.bytes().length === 0) {
    await new Promise(setImmediate);
  }
  const reset = once(server.connections[0]!.socket, 'error');
  sendReset(client.socket);
  const [error] = (await reset) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  const [span] = await sink.received(1);
  assert.equal(span!.statusCode, 2);
});

test('the application ends in the middle of its answer: the span is an error though the client stays', async (t) => {
  const partial = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf';
  const server = await startRawServer(t, { onData: ({ socket }) => socket.end(partial) });
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  assert.equal((await client.readToEnd()).toString(), partial);
  const [span] = await sink.received(1);
  assert.equal(span!.statusCode, 2);
  assert.ok(String(span!.attributes['error.type'] ?? '') !== '');
});
