import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Backend } from '../../src/collector/backends.ts';
import { type Collector, type CollectorOptions, startCollector } from '../../src/collector/main.ts';
import { close, listen } from '../../src/runtime/listen.ts';
import { createLog } from '../../src/runtime/log.ts';
import { UsageError } from '../../src/runtime/usage-error.ts';
import { type FakeBackend, FakeOtlpHttp, FakeZipkin } from '../contract/support/fake-backend.ts';
import { request } from '../contract/support/senders.ts';
import { encodeByOracle } from '../formats/otlp/oracle.ts';
import { plainSpan, requestOf } from '../formats/otlp/samples.ts';

const anyPort = { host: '127.0.0.1', port: 0 };
const optionsFor = (changes: Partial<CollectorOptions>): CollectorOptions => ({
  otlpGrpc: anyPort,
  otlpHttp: anyPort,
  metrics: anyPort,
  health: anyPort,
  backends: [],
  log: createLog('test', 'silent'),
  drainTimeoutMs: 5_000,
  ...changes,
  exporter: { batchDelayMs: 5, ...changes.exporter },
});

async function started(t: TestContext, changes: Partial<CollectorOptions>): Promise<Collector> {
  const collector = await startCollector(optionsFor(changes));
  t.after(() => collector.close());
  return collector;
}

async function startFake(t: TestContext, backend: FakeBackend): Promise<number> {
  const port = await backend.start();
  t.after(() => backend.stop());
  return port;
}

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  const { port } = await listen(server, anyPort, 'probe');
  await close(server);
  return port;
}

async function send(collector: Collector, names: readonly string[], batchId?: string): Promise<number> {
  const spans = names.map((name, index) => plainSpan(index, { name }));
  const headers = {
    'content-type': 'application/x-protobuf',
    ...(batchId === undefined ? {} : { 'tracecar-batch': batchId }),
  };
  const { port } = collector.addresses.otlpHttp;
  const options = { method: 'POST', path: '/v1/traces', headers };
  return (await request(port, options, encodeByOracle(requestOf(spans)))).status;
}

/** Samples of one scrape by their full name. */
async function scrape(collector: Collector): Promise<Map<string, number>> {
  const { body } = await request(collector.addresses.metrics.port, { path: '/metrics' });
  const lines = body.toString().split('\n');
  return new Map(
    lines
      .filter((line) => /^(otelcol|tracecar)_/.test(line))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

function assertAccounts(collector: Collector): void {
  for (const { name, accepted, sent, queued, dropped } of collector.report()) {
    const lost = Object.values(dropped).reduce((sum, spans) => sum + spans, 0);
    assert.equal(accepted, sent + queued + lost, name);
  }
}

test('each backend gets each span once, side by side with one that is down', async (t) => {
  const jaeger = new FakeOtlpHttp();
  const zipkin = new FakeZipkin();
  const backends: Backend[] = [
    { kind: 'jaeger', url: `http://127.0.0.1:${await deadPort()}` },
    { kind: 'jaeger', url: `http://127.0.0.1:${await startFake(t, jaeger)}` },
    { kind: 'zipkin', url: `http://127.0.0.1:${await startFake(t, zipkin)}` },
  ];
  const stored: number[] = [];
  const sinks = [{ name: 'store', accept: (bytes: Uint8Array) => stored.push(bytes.byteLength) }];
  const collector = await startCollector(optionsFor({ backends, sinks, drainTimeoutMs: 300 }));
  for (let round = 0; round < 10; round++) assert.equal(await send(collector, [`a${round}`, `b${round}`]), 200);
  assertAccounts(collector);
  await collector.close();
  const expected = Array.from({ length: 10 }, (_, round) => [`a${round}`, `b${round}`]).flat();
  assert.deepEqual(jaeger.taken, expected);
  assert.deepEqual(zipkin.taken, expected);
  assert.equal(stored.length, 10);
  assert.deepEqual(collector.report(), [
    { name: 'store', accepted: 20, sent: 20, queued: 0, dropped: {} },
    { name: 'jaeger', accepted: 20, sent: 0, queued: 0, dropped: { shutdown: 20 } },
    { name: 'jaeger/2', accepted: 20, sent: 20, queued: 0, dropped: {} },
    { name: 'zipkin', accepted: 20, sent: 20, queued: 0, dropped: {} },
  ]);
});

test('a full queue of one backend is no trouble of the sender, and is counted', async (t) => {
  const backends: Backend[] = [{ kind: 'otlp', url: `http://127.0.0.1:${await deadPort()}` }];
  const collector = await started(t, { backends, exporter: { queueBytes: 400 }, drainTimeoutMs: 0 });
  for (let round = 0; round < 5; round++) assert.equal(await send(collector, ['one', 'two']), 200);
  const [report] = collector.report();
  assert.equal(report?.accepted, 10);
  assert.equal(report?.queued, 2);
  assert.deepEqual(report?.dropped, { queue_full: 8 });
});

test('metrics tell the same as the accounts, under the names of the OpenTelemetry Collector', async (t) => {
  const good = new FakeOtlpHttp();
  const bad = new FakeZipkin();
  bad.decide = () => ({ kind: 'forbidden' });
  const backends: Backend[] = [
    { kind: 'otlp', url: `http://127.0.0.1:${await startFake(t, good)}` },
    { kind: 'zipkin', url: `http://127.0.0.1:${await startFake(t, bad)}` },
    { kind: 'jaeger', url: `http://127.0.0.1:${await deadPort()}` },
  ];
  const collector = await started(t, { backends, drainTimeoutMs: 0 });
  await send(collector, ['a', 'b', 'c'], 'pod/1/1');
  await send(collector, ['a', 'b', 'c'], 'pod/1/1');
  await Promise.all([good.attempted(1), bad.attempted(1)]);
  let samples = await scrape(collector);
  while (
    samples.get('otelcol_exporter_sent_spans{exporter="otlp"}') === 0 ||
    !samples.get('otelcol_exporter_send_failed_spans{exporter="zipkin"}')
  ) {
    samples = await scrape(collector);
  }
  const expected = {
    'otelcol_receiver_accepted_spans{receiver="otlp",transport="http"}': 3,
    'otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"}': 0,
    'otelcol_receiver_refused_spans{receiver="otlp",transport="http"}': 0,
    'tracecar_collector_repeated_batches_total{receiver="otlp",transport="http"}': 1,
    'tracecar_collector_repeated_spans_total{receiver="otlp",transport="http"}': 3,
    'otelcol_exporter_sent_spans{exporter="otlp"}': 3,
    'otelcol_exporter_sent_spans{exporter="zipkin"}': 0,
    'otelcol_exporter_send_failed_spans{exporter="zipkin"}': 3,
    'otelcol_exporter_enqueue_failed_spans{exporter="zipkin"}': 0,
    'otelcol_exporter_queue_capacity{exporter="jaeger",data_type="traces"}': 64 * 1024 * 1024,
    'otelcol_exporter_queue_size{exporter="otlp",data_type="traces"}': 0,
    'tracecar_collector_spans_accepted_total{destination="jaeger"}': 3,
    'tracecar_collector_spans_queued{destination="jaeger"}': 3,
    'tracecar_collector_spans_sent_total{destination="otlp"}': 3,
    'tracecar_collector_spans_dropped_total{destination="zipkin",reason="refused"}': 3,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(samples.get(name), value, name);
  assert.ok(samples.get('otelcol_exporter_queue_size{exporter="jaeger",data_type="traces"}')! > 0);
  assertAccounts(collector);
});

test('malformed requests are counted apart', async (t) => {
  const collector = await started(t, {});
  const headers = { 'content-type': 'application/json' };
  const { port } = collector.addresses.otlpHttp;
  assert.equal((await request(port, { method: 'POST', path: '/v1/traces', headers }, Buffer.from('{'))).status, 400);
  const samples = await scrape(collector);
  assert.equal(samples.get('tracecar_collector_malformed_requests_total{receiver="otlp",transport="http"}'), 1);
});

test('health is 200 while it runs and 503 while it drains; receivers are closed by then', async (t) => {
  const slow = new FakeOtlpHttp();
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  slow.decide = async () => {
    await held;
    return { kind: 'accept' };
  };
  const backends: Backend[] = [{ kind: 'otlp', url: `http://127.0.0.1:${await startFake(t, slow)}` }];
  const collector = await startCollector(optionsFor({ backends }));
  const health = () => request(collector.addresses.health.port, { path: '/' });
  assert.equal((await health()).status, 200);
  await send(collector, ['last']);
  await slow.attempted(1);
  const closed = collector.close();
  assert.equal((await health()).status, 503);
  letGo();
  await closed;
  assert.deepEqual(slow.taken, ['last']);
  await assert.rejects(send(collector, ['late']), { code: 'ECONNREFUSED' });
  await assert.rejects(health(), { code: 'ECONNREFUSED' });
});

test('a taken port is one line that names the flag, and nothing stays open', async (t) => {
  const taken = createServer();
  const address = await listen(taken, anyPort, 'test');
  t.after(() => close(taken));
  const flags = { otlpGrpc: '--otlp-grpc', otlpHttp: '--otlp-http', metrics: '--metrics', health: '--health' };
  for (const [name, flag] of Object.entries(flags)) {
    await assert.rejects(startCollector(optionsFor({ [name]: address })), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(
        error.message,
        new RegExp(`^${flag}: cannot listen on 127.0.0.1:${address.port}: the port is taken`),
      );
      return true;
    });
  }
});

test('a backend that cannot be addressed stops the start before anything listens', async () => {
  const backends: Backend[] = [{ kind: 'zipkin', url: 'nowhere' }];
  await assert.rejects(startCollector(optionsFor({ backends })), /^UsageError: --zipkin: "nowhere": not a URL/);
});
