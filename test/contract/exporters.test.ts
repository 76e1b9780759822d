// What every exporter promises, whatever its backend speaks.
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { pino } from 'pino';
import type { BackendKind } from '../../src/collector/backends.ts';
import { createExporters } from '../../src/collector/exporters/create.ts';
import {
  defaultExporterSettings,
  type ExporterSettings,
  type QueuedExporter,
} from '../../src/collector/exporters/queued-exporter.ts';
import { createLog, type Log } from '../../src/runtime/log.ts';
import { encodeByOracle } from '../formats/otlp/oracle.ts';
import { plainSpan, requestOf } from '../formats/otlp/samples.ts';
import { type FakeBackend, FakeOtlpGrpc, FakeOtlpHttp, FakeZipkin } from './support/fake-backend.ts';

interface Subject {
  readonly name: string;
  readonly kind: BackendKind;
  readonly create: () => FakeBackend;
  readonly urlOf: (port: number) => string;
  /** The shortest delay this protocol can ask for. */
  readonly delayMs: number;
}

const subjects: readonly Subject[] = [
  {
    name: 'OTLP/HTTP',
    kind: 'otlp',
    create: () => new FakeOtlpHttp(),
    urlOf: (port) => `http://127.0.0.1:${port}`,
    delayMs: 1_000,
  },
  {
    name: 'OTLP/gRPC',
    kind: 'jaeger',
    create: () => new FakeOtlpGrpc(),
    urlOf: (port) => `grpc://127.0.0.1:${port}`,
    delayMs: 300,
  },
  {
    name: 'Zipkin',
    kind: 'zipkin',
    create: () => new FakeZipkin(),
    urlOf: (port) => `http://127.0.0.1:${port}`,
    delayMs: 1_000,
  },
];

const settings: ExporterSettings = {
  ...defaultExporterSettings,
  batchDelayMs: 5,
  backoff: { initialMs: 5, multiplier: 1, maxMs: 5, randomization: 0 },
};

/** A log that tells when the first warning is written. */
function listeningLog(): { readonly log: Log; readonly warned: Promise<void> } {
  let tell = () => {};
  const warned = new Promise<void>((resolve) => {
    tell = resolve;
  });
  return { log: pino({ level: 'warn' }, { write: () => tell() }), warned };
}

function exporterTo(
  subject: Subject,
  port: number,
  changes: Partial<ExporterSettings> = {},
  log = createLog('test', 'silent'),
): QueuedExporter {
  const backend = { kind: subject.kind, url: subject.urlOf(port) };
  const [exporter] = createExporters([backend], { ...settings, ...changes }, 5_000, log);
  assert.ok(exporter);
  return exporter;
}

async function setUp(t: TestContext, subject: Subject, changes: Partial<ExporterSettings> = {}) {
  const backend = subject.create();
  const port = await backend.start();
  const exporter = exporterTo(subject, port, changes);
  t.after(async () => {
    await exporter.drain(0);
    await backend.stop();
  });
  return { backend, exporter, port };
}

function requestFor(...names: string[]) {
  const spans = names.map((name, index) => plainSpan(index, { name }));
  return { bytes: encodeByOracle(requestOf(spans)), spans: names.length };
}

function names(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `span ${from + index}`);
}

function droppedOf(exporter: QueuedExporter): Record<string, number> {
  return Object.fromEntries(exporter.stats.dropped);
}

/** accepted = sent + dropped + queued. */
function assertAccount(exporter: QueuedExporter): void {
  const dropped = [...exporter.stats.dropped.values()].reduce((sum, spans) => sum + spans, 0);
  assert.equal(exporter.stats.accepted, exporter.stats.sent + dropped + exporter.queuedSpans);
}

for (const subject of subjects) {
  describe(`${subject.name} exporter`, () => {
    test('delivers every span once, in order, several requests in one', async (t) => {
      const { backend, exporter } = await setUp(t, subject, { batchDelayMs: 1_000 });
      for (let from = 0; from < 40; from += 4) {
        exporter.accept(requestFor(...names(from, from + 4)));
        assertAccount(exporter);
      }
      assert.equal(exporter.queuedSpans, 40);
      await exporter.drain(5_000);
      assert.deepEqual(backend.taken, names(0, 40));
      assert.equal(backend.attempts.length, 1);
      assert.deepEqual([exporter.stats.sent, exporter.queuedSpans, exporter.queuedBytes], [40, 0, 0]);
      assert.deepEqual(droppedOf(exporter), {});
    });

    test('a batch goes out when it is big enough, before its time', async (t) => {
      const { backend, exporter } = await setUp(t, subject, { batchDelayMs: 60_000, batchBytes: 1_000 });
      for (let from = 0; from < 20; from++) exporter.accept(requestFor(`span ${from}`));
      await backend.attempted(1);
      assert.ok(backend.attempts[0]!.names.length < 20);
    });

    test('repeats the same bytes until they are taken', async (t) => {
      const { backend, exporter } = await setUp(t, subject);
      backend.decide = (_, index) => ({ kind: index < 3 ? 'retry' : 'accept' });
      exporter.accept(requestFor(...names(0, 5)));
      await exporter.drain(5_000);
      assert.equal(backend.attempts.length, 4);
      for (const attempt of backend.attempts) {
        assert.deepEqual(attempt.body, backend.attempts[0]!.body);
        assert.equal(attempt.batchId, backend.attempts[0]!.batchId);
      }
      assert.deepEqual(backend.taken, names(0, 5));
      assert.equal(exporter.stats.sent, 5);
      assertAccount(exporter);
    });

    test('waits as long as the backend asks', async (t) => {
      const { backend, exporter } = await setUp(t, subject);
      backend.decide = (_, index) => (index === 0 ? { kind: 'retry', delayMs: subject.delayMs } : { kind: 'accept' });
      exporter.accept(requestFor('patient'));
      await exporter.drain(10_000);
      const [first, second] = backend.attempts;
      assert.ok(second!.atMs - first!.atMs >= subject.delayMs - 20, `waited ${second!.atMs - first!.atMs} ms`);
      assert.deepEqual(backend.taken, ['patient']);
    });

    test('one span the backend refuses costs one span, not its neighbours', async (t) => {
      const { backend, exporter } = await setUp(t, subject);
      const good = names(0, 30);
      backend.decide = ({ names }) => ({ kind: names.includes('poison') ? 'malformed' : 'accept' });
      exporter.accept(requestFor(...good.slice(0, 13)));
      exporter.accept(requestFor(...good.slice(13, 17), 'poison', ...good.slice(17, 22)));
      exporter.accept(requestFor(...good.slice(22)));
      await exporter.drain(5_000);
      assert.deepEqual(backend.taken, good);
      assert.equal(exporter.stats.sent, 30);
      assert.deepEqual(droppedOf(exporter), { refused: 1 });
      assert.ok(backend.attempts.length <= 15, `${backend.attempts.length} attempts`);
      assertAccount(exporter);
    });

    test('many refused spans, far apart, cost no others', async (t) => {
      const { backend, exporter } = await setUp(t, subject);
      backend.decide = ({ names }) => ({
        kind: names.some((name) => name.startsWith('poison')) ? 'malformed' : 'accept',
      });
      const mixed = names(0, 300).map((name, index) => (index % 3 === 0 ? `poison ${index}` : name));
      exporter.accept(requestFor(...mixed));
      await exporter.drain(20_000);
      assert.deepEqual(
        backend.taken,
        mixed.filter((name) => name.startsWith('span')),
      );
      assert.deepEqual(droppedOf(exporter), { refused: 100 });
      assertAccount(exporter);
    });

    test('a backend that refuses everything as malformed is not asked once per span', async (t) => {
      const { backend, exporter } = await setUp(t, subject);
      backend.decide = () => ({ kind: 'malformed' });
      exporter.accept(requestFor(...names(0, 1_000)));
      await exporter.drain(10_000);
      assert.deepEqual(droppedOf(exporter), { refused: 1_000 });
      assert.ok(backend.attempts.length < 200, `${backend.attempts.length} attempts`);
    });

    test('a refusal that is not about the spans is final for the whole batch', async (t) => {
      const { backend, exporter } = await setUp(t, subject);
      backend.decide = () => ({ kind: 'forbidden' });
      exporter.accept(requestFor(...names(0, 8)));
      await exporter.drain(5_000);
      assert.equal(backend.attempts.length, 1);
      assert.deepEqual(droppedOf(exporter), { refused: 8 });
      assertAccount(exporter);
    });

    test('a slow backend holds up nobody, and a full queue drops the newest, counted', async (t) => {
      const request = requestFor(...names(0, 10));
      const capacity = request.bytes.byteLength * 3;
      const { backend, exporter } = await setUp(t, subject, { queueBytes: capacity, consumers: 1, batchBytes: 1 });
      let letGo = () => {};
      const held = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      backend.decide = async () => {
        await held;
        return { kind: 'accept' };
      };
      exporter.accept(request);
      await backend.attempted(1);
      for (let round = 0; round < 4; round++) exporter.accept(requestFor(...names(10 + round * 10, 20 + round * 10)));
      assertAccount(exporter);
      assert.ok(exporter.queuedBytes <= capacity);
      assert.equal(exporter.stats.sent, 0);
      assert.equal(droppedOf(exporter).queue_full, 50 - exporter.queuedSpans);
      assert.ok(exporter.queuedSpans >= 20);
      const kept = exporter.queuedSpans;
      letGo();
      await exporter.drain(5_000);
      assert.deepEqual(backend.taken, names(0, kept));
      assert.equal(exporter.stats.sent, kept);
      assertAccount(exporter);
    });

    test('spans for a backend that is down wait, and arrive when it comes back', async (t) => {
      const backend = subject.create();
      const port = await backend.start();
      await backend.stop();
      const returned = subject.create();
      const { log, warned } = listeningLog();
      const exporter = exporterTo(subject, port, {}, log);
      t.after(async () => {
        await exporter.drain(0);
        await returned.stop();
      });
      exporter.accept(requestFor(...names(0, 6)));
      await warned;
      assert.equal(exporter.queuedSpans, 6);
      assertAccount(exporter);
      await returned.start(port);
      await returned.attempted(1);
      await exporter.drain(5_000);
      assert.deepEqual(returned.taken, names(0, 6));
      assert.deepEqual([exporter.stats.sent, droppedOf(exporter)], [6, {}]);
    });

    test('time for retries ends, counted', async (t) => {
      const { backend, exporter } = await setUp(t, subject, { maxElapsedMs: 50 });
      backend.decide = () => ({ kind: 'retry' });
      exporter.accept(requestFor(...names(0, 3)));
      await exporter.drain(5_000);
      assert.ok(backend.attempts.length > 1);
      assert.deepEqual(droppedOf(exporter), { retries_exhausted: 3 });
      assertAccount(exporter);
    });

    test('a drain ends at its deadline, and what is left is counted', async (t) => {
      const { backend, exporter } = await setUp(t, subject, { consumers: 1, batchBytes: 1 });
      backend.decide = () => new Promise(() => {});
      exporter.accept(requestFor(...names(0, 3)));
      await backend.attempted(1);
      exporter.accept(requestFor(...names(3, 5)));
      const startMs = performance.now();
      await exporter.drain(100);
      assert.ok(performance.now() - startMs < 2_000);
      assert.deepEqual(droppedOf(exporter), { shutdown: 5 });
      assert.equal(exporter.queuedSpans, 0);
      assertAccount(exporter);
      exporter.accept(requestFor('late'));
      assert.deepEqual(droppedOf(exporter), { shutdown: 6 });
    });

    test('long batches are cut to the limit, and a span that is too long by itself is dropped alone', async (t) => {
      const { backend, exporter } = await setUp(t, subject, { maxRequestBytes: 4_000 });
      const spans = names(0, 60).map((name, index) => plainSpan(index, { name }));
      const long = plainSpan(90, { name: 'n'.repeat(6_000) });
      exporter.accept({
        bytes: encodeByOracle(requestOf([...spans.slice(0, 30), long, ...spans.slice(30)])),
        spans: 61,
      });
      await exporter.drain(5_000);
      assert.deepEqual(backend.taken, names(0, 60));
      assert.ok(backend.attempts.length > 1);
      assert.deepEqual(droppedOf(exporter), { too_large: 1 });
      assertAccount(exporter);
    });
  });
}

for (const subject of subjects.filter(({ kind }) => kind !== 'zipkin')) {
  test(`${subject.name}: spans a backend says it rejected are counted, and not sent again`, async (t) => {
    const { backend, exporter } = await setUp(t, subject);
    backend.decide = () => ({ kind: 'partial', rejectedSpans: 2, errorMessage: 'too old' });
    exporter.accept(requestFor(...names(0, 5)));
    await exporter.drain(5_000);
    assert.equal(backend.attempts.length, 1);
    assert.deepEqual([exporter.stats.sent, droppedOf(exporter)], [3, { backend_rejected: 2 }]);
    assertAccount(exporter);
  });

  test(`${subject.name}: the bytes go on as they came, and each batch has an id of its own`, async (t) => {
    const { backend, exporter } = await setUp(t, subject, { batchBytes: 1, consumers: 1 });
    const requests = [requestFor('a', 'b'), requestFor('c')];
    for (const request of requests) {
      exporter.accept(request);
      await backend.attempted(requests.indexOf(request) + 1);
    }
    await exporter.drain(5_000);
    assert.deepEqual(
      backend.attempts.map(({ body }) => body),
      requests.map(({ bytes }) => Buffer.from(bytes)),
    );
    const [first, second] = backend.attempts.map(({ batchId }) => batchId!);
    assert.match(first!, /^[^/]+\/\d+\/1$/);
    assert.equal(second, first!.replace(/1$/, '2'));
  });
}
