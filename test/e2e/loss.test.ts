// Promise: no request fails for the sake of tracing, and no span is lost uncounted or stored twice.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import grpc from '@grpc/grpc-js';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { type Collector, startCollector, startZipkinSink } from '../support/collector.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequests, startApplication, startLoad } from '../support/load.ts';
import { decodeRejected, encodeSpans } from '../support/otlp-sink.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';

const protocols = ['grpc', 'http/protobuf'] as const;
type Protocol = (typeof protocols)[number];

function endpoint(collector: Pick<Collector, 'otlpGrpc' | 'otlpHttp'>, protocol: Protocol): string {
  return `http://${protocol === 'grpc' ? collector.otlpGrpc : collector.otlpHttp}`;
}

async function assertAddsUp(sidecar: Sidecar) {
  const { created, exported, dropped, queued } = await sidecar.ledger();
  assert.equal(created, exported + dropped + queued, JSON.stringify({ created, exported, dropped, queued }));
  return { created, exported, dropped, queued };
}

function allExported(sidecar: Sidecar, created: number, timeoutMs = 20_000) {
  return eventually(
    `${created} spans created and all exported`,
    async () => {
      const ledger = await assertAddsUp(sidecar);
      return ledger.created === created && ledger.exported + ledger.dropped === created && ledger;
    },
    timeoutMs,
  );
}

async function unusedAddress(): Promise<string> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return `127.0.0.1:${port}`;
}

for (const protocol of protocols) {
  test(`${protocol}: a collector that is down at start costs no request and no span`, async (t) => {
    const at = { otlpGrpc: await unusedAddress(), otlpHttp: await unusedAddress() };
    const app = await startApplication(t);
    const sidecar = await startSidecar(t, { inbound: app, otlp: endpoint(at, protocol), protocol });
    await sendRequests(sidecar.inbound, 120);
    const before = await assertAddsUp(sidecar);
    assert.deepEqual(before, { created: 120, exported: 0, dropped: 0, queued: 120 });
    const collector = await startCollector(t, [], at);
    const ledger = await allExported(sidecar, 120);
    assert.equal(ledger.dropped, 0);
    const stored = await eventually('120 spans in the store', async () => {
      const spans = await collector.stored('app');
      return spans.length >= 120 && spans;
    });
    assert.equal(new Set(stored.map((span) => span.spanId)).size, 120);
  });

  test(`${protocol}: kill -9 of the collector under load fails no request; spans flow again, the ledger is exact`, async (t) => {
    const zipkin = await startZipkinSink(t);
    const first = await startCollector(t, ['--zipkin', zipkin.url]);
    const app = await startApplication(t);
    const sidecar = await startSidecar(t, { inbound: app, otlp: endpoint(first, protocol), protocol });
    const load = startLoad(sidecar.inbound);
    await eventually('spans reach the first collector', async () => (await sidecar.ledger()).exported > 50);
    await first.program.stop('SIGKILL');
    const atKill = load.sent();
    await eventually('requests go on without a collector', () => load.sent() > atKill + 200);
    await assertAddsUp(sidecar);
    const { otlpGrpc, otlpHttp } = first;
    const second = await startCollector(t, ['--zipkin', zipkin.url], { otlpGrpc, otlpHttp });
    const atRestart = load.sent();
    await eventually('requests go on with the second collector', () => load.sent() > atRestart + 200);
    const answered = await load.stop();
    const ledger = await allExported(sidecar, answered);
    assert.equal(ledger.dropped, 0);
    const accepted = sumOf(await second.samples(), 'otelcol_receiver_accepted_spans');
    assert.ok(accepted >= answered - atKill - 4, `${accepted} of ${answered - atKill} spans came after the restart`);
    const stored = await second.stored('app');
    assert.equal(new Set(stored.map((span) => span.spanId)).size, stored.length);
    assert.equal(stored.length, accepted);
    // A backend that outlives the collector has seen both of them.
    const sentBySecond = { exporter: 'zipkin' };
    await eventually('the second collector has passed all on', async () => {
      return sumOf(await second.samples(), 'otelcol_exporter_sent_spans', sentBySecond) === accepted;
    });
    assert.equal(new Set(zipkin.spans.map((span) => span.id)).size, zipkin.spans.length);
  });

  test(`${protocol}: a batch whose answer is cut is sent again and stored once`, async (t) => {
    const zipkin = await startZipkinSink(t);
    const collector = await startCollector(t, ['--zipkin', zipkin.url]);
    const cutter = await startAnswerCutter(t, endpoint(collector, protocol), protocol);
    const app = await startApplication(t);
    const sidecar = await startSidecar(t, { inbound: app, otlp: cutter.url, protocol });
    await sendRequests(sidecar.inbound, 40);
    const ledger = await allExported(sidecar, 40);
    assert.equal(ledger.dropped, 0);
    assert.equal(cutter.cuts(), 2);
    await eventually('40 spans at the backend', () => zipkin.spans.length >= 40);
    const stored = await eventually('40 spans in the store', async () => {
      const spans = await collector.stored('app');
      return spans.length >= 40 && spans;
    });
    assert.equal(stored.length, 40);
    assert.equal(sumOf(await collector.samples(), 'otelcol_exporter_sent_spans', { exporter: 'store' }), 40);
    assert.deepEqual([zipkin.spans.length, new Set(zipkin.spans.map((span) => span.id)).size], [40, 40]);
  });
}

/**
 * A relay in front of a collector that ends the connection where the answer to a request should begin, twice; the
 * collector has taken the request by then.
 */
async function startAnswerCutter(t: TestContext, target: string, protocol: Protocol) {
  const { hostname, port } = new URL(target);
  let cuts = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((downstream) => {
    const upstream = net.connect({ host: hostname, port: Number(port) });
    for (const socket of [downstream, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    downstream.pipe(upstream);
    const pass = (bytes: Buffer) => downstream.write(bytes);
    const cut = () => {
      cuts++;
      downstream.destroy();
      upstream.destroy();
    };
    let rest = Buffer.alloc(0);
    upstream.on('data', (chunk) => {
      if (cuts === 2) return pass(Buffer.concat([rest.subarray(0, 0), chunk]));
      if (protocol === 'http/protobuf') return cut();
      // HTTP/2 frames: nine bytes of header, the type in the fourth; 1 is HEADERS, the begin of an answer.
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
        const length = 9 + rest.readUIntBE(0, 3);
        if (rest[3] === 1) return cut();
        pass(rest.subarray(0, length));
        rest = rest.subarray(length);
      }
    });
    upstream.on('close', () => downstream.destroy());
    downstream.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`, cuts: () => cuts };
}

test('a full queue drops spans with a counted reason, and requests go on', async (t) => {
  const app = await startApplication(t);
  const sidecar = await startSidecar(t, {
    inbound: app,
    otlp: `http://${await unusedAddress()}`,
    env: { OTEL_BSP_MAX_QUEUE_SIZE: '50', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '10' },
  });
  await sendRequests(sidecar.inbound, 400);
  const ledger = await eventually('400 spans', async () => {
    const now = await assertAddsUp(sidecar);
    return now.created === 400 && now;
  });
  assert.equal(ledger.exported, 0);
  assert.ok(ledger.dropped >= 300, `${ledger.dropped} dropped`);
  const reasons = (await sidecar.metrics()).filter(
    (sample) => sample.name === 'tracecar_spans_dropped_total' && sample.value > 0,
  );
  assert.equal(reasons.length, 1);
  assert.match(reasons[0]!.labels.reason ?? '', /queue/);
});

test('a dead backend delays and loses nothing of what the others get', async (t) => {
  const zipkin = await startZipkinSink(t);
  const dead = `http://${await unusedAddress()}`;
  const collector = await startCollector(t, [
    '--jaeger',
    dead,
    '--zipkin',
    zipkin.url,
    '--zipkin',
    `${dead}/api/v2/spans`,
  ]);
  const app = await startApplication(t);
  const sidecar = await startSidecar(t, { inbound: app, otlp: `http://${collector.otlpHttp}` });
  await sendRequests(sidecar.inbound, 60);
  await allExported(sidecar, 60);
  await eventually('60 spans at the live backend', () => zipkin.spans.length >= 60, 5_000);
  assert.equal(zipkin.spans.length, 60);
  assert.equal((await collector.stored('app')).length, 60);
});

test('malformed OTLP over HTTP is 400 and costs neighbours nothing', async (t) => {
  const collector = await startCollector(t);
  const post = (body: Buffer | string, type: string) =>
    fetch(`http://${collector.otlpHttp}/v1/traces`, { method: 'POST', headers: { 'content-type': type }, body });
  const good = (name: string) => encodeSpans('neighbour', [{ ...newIds(), name }]);
  assert.equal((await post(good('before'), 'application/x-protobuf')).status, 200);
  const whole = good('cut');
  const bad: [Buffer | string, string][] = [
    [Buffer.from([0xff, 0xff, 0xff]), 'application/x-protobuf'],
    [whole.subarray(0, whole.length - 3), 'application/x-protobuf'],
    [Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), 'application/x-protobuf'],
    ['{"resourceSpans": [', 'application/json'],
    ['[]', 'application/json'],
    ['not json', 'application/json'],
  ];
  for (const [body, type] of bad) {
    const response = await post(body, type);
    assert.equal(response.status, 400, `${type} ${body.toString('latin1').slice(0, 30)}`);
  }
  assert.equal((await post(good('x'), 'text/plain')).status, 415);
  assert.equal((await post(good('after'), 'application/x-protobuf')).status, 200);
  const stored = await eventually('both good spans', async () => {
    const spans = await collector.stored('neighbour');
    return spans.length >= 2 && spans;
  });
  assert.deepEqual(stored.map((span) => span.name).sort(), ['after', 'before']);
});

test('malformed OTLP over gRPC is INVALID_ARGUMENT and the connection goes on', async (t) => {
  const collector = await startCollector(t);
  const client = new grpc.Client(collector.otlpGrpc, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const exportSpans = (bytes: Buffer) =>
    new Promise<{ code: number; response: Buffer }>((resolve) => {
      client.makeUnaryRequest(
        '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        (b: Buffer) => b,
        (b: Buffer) => b,
        bytes,
        (error, response) => resolve({ code: error?.code ?? 0, response: response ?? Buffer.alloc(0) }),
      );
    });
  assert.equal((await exportSpans(Buffer.from([0xff, 0xff, 0xff]))).code, grpc.status.INVALID_ARGUMENT);
  const { code, response } = await exportSpans(encodeSpans('neighbour', [newIds()]));
  assert.deepEqual([code, decodeRejected(response).rejected], [0, 0]);
  await eventually('the good span', async () => (await collector.stored('neighbour')).length === 1);
});

test('one bad span in a batch costs one span, and its sender is told', async (t) => {
  const zipkin = await startZipkinSink(t);
  const collector = await startCollector(t, ['--zipkin', zipkin.url]);
  const spans = Array.from({ length: 6 }, (_, i) => ({ ...newIds(), name: `span ${i}` }));
  spans[3] = { ...spans[3]!, spanId: '11111111111111' };
  const response = await fetch(`http://${collector.otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body: encodeSpans('mixed', spans),
  });
  assert.equal(response.status, 200);
  const { rejected, message } = decodeRejected(new Uint8Array(await response.arrayBuffer()));
  assert.equal(rejected, 1);
  assert.notEqual(message, '');
  await eventually('five spans at the backend', () => zipkin.spans.length >= 5);
  const names = [0, 1, 2, 4, 5].map((i) => `span ${i}`);
  assert.deepEqual(zipkin.spans.map((span) => span.name).sort(), names);
  assert.deepEqual((await collector.stored('mixed')).map((span) => span.name).sort(), names);
});

function newIds() {
  return { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
}
