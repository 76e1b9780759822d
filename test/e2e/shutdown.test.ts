// Promise: SIGTERM drains: what is under way is finished, spans are flushed, the exit code is 0.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchText } from '../../src/cli/demo/fetch-text.ts';
import { startCollector } from '../support/collector.ts';
import { eventually } from '../support/eventually.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar } from '../support/sidecar.ts';

const request = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n';
const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} flushes queued spans and exits 0`, async (t) => {
    const server = await startRawServer(t, { onData: ({ socket }) => socket.write(ok) });
    const sink = await startOtlpSink(t);
    // No batch would leave by time or size: only the flush can bring these spans.
    const env = { OTEL_BSP_SCHEDULE_DELAY: '60000', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '512' };
    const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url, env });
    const client = await connectRaw(t, sidecar.inbound);
    for (let i = 1; i <= 7; i++) {
      client.socket.write(request);
      await client.read(ok.length * i);
    }
    client.socket.end();
    await client.readToEnd();
    assert.equal(sink.spans.length, 0);
    assert.deepEqual(await sidecar.program.stop(signal), { code: 0, signal: null });
    assert.equal(sink.spans.length, 7);
  });
}

test('a request under way at SIGTERM is answered and its span arrives', async (t) => {
  const server = await startRawServer(t, {});
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await eventually('the request reaches the application', () => server.connections[0]?.bytes().includes('\r\n\r\n'));
  const exited = sidecar.program.stop();
  await eventually('not ready any more', async () => (await fetchText(`http://${sidecar.admin}/ready`)).status === 503);
  server.connections[0]!.socket.write(ok);
  assert.deepEqual(await client.read(ok.length), ok);
  // The connection belongs to the application: it stays usable until its owner closes it.
  client.socket.write(request);
  await eventually('a second request', () => server.connections[0]!.bytes().toString().split('\r\n\r\n').length === 3);
  server.connections[0]!.socket.write(ok);
  await client.read(ok.length * 2);
  client.socket.end();
  assert.deepEqual(await exited, { code: 0, signal: null });
  assert.equal(sink.spans.length, 2);
});

test('a connection that stays open is given up after the drain timeout', async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(ok) });
  const sink = await startOtlpSink(t);
  const args = ['--drain-timeout', '300ms'];
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url, args });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.read(ok.length);
  const startMs = performance.now();
  assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - startMs < 5000);
  assert.equal(sink.spans.length, 1);
});

test('SIGTERM with the collector away ends in time, exit 0', async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(ok) });
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: 'http://127.0.0.1:1' });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.read(ok.length);
  client.socket.destroy();
  const startMs = performance.now();
  assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - startMs < 15_000);
});

test('the collector exits 0 on SIGTERM', async (t) => {
  const collector = (await startCollector(t)).program;
  assert.deepEqual(await collector.stop(), { code: 0, signal: null });
});

test('after SIGTERM, callers that connect anew for each request are served until they stop coming', async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.end(ok) });
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url, args: ['--drain-quiet', '800ms'] });
  const call = async () => {
    const client = await connectRaw(t, sidecar.inbound);
    client.socket.write(request);
    assert.deepEqual(await client.read(ok.length), ok);
    client.socket.destroy();
  };
  await call();
  const exited = sidecar.program.stop();
  // Longer in all than the quiet time, with gaps shorter than that: to each caller nobody else is there.
  for (let i = 0; i < 6; i++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    await call();
  }
  const startMs = performance.now();
  assert.deepEqual(await exited, { code: 0, signal: null });
  assert.ok(performance.now() - startMs < 5_000);
  assert.equal(sink.spans.length, 7);
});

test('a sidecar that nobody ever connected to ends at once', async (t) => {
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: 9, otlp: sink.url, args: ['--drain-quiet', '20s'] });
  const startMs = performance.now();
  assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - startMs < 5_000);
});
