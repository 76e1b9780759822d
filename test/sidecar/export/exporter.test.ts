import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from '../../../src/formats/otlp/decode.ts';
import { decodeResponse, encodeResponse } from '../../../src/formats/otlp/response.ts';
import type { ExportOutcome, Transport } from '../../../src/runtime/export/outcome.ts';
import { createLog } from '../../../src/runtime/log.ts';
import { Exchange } from '../../../src/sidecar/exchange.ts';
import { Exporter, type ExporterOptions } from '../../../src/sidecar/export/exporter.ts';
import { SpanTemplate } from '../../../src/sidecar/export/span-template.ts';
import { createTracer, facts } from '../observed.ts';

const accepted: ExportOutcome = { kind: 'accepted', response: new Uint8Array() };
const retry: ExportOutcome = { kind: 'retry', reason: 'UNAVAILABLE' };

interface Sent {
  readonly id: string;
  readonly body: Uint8Array;
  readonly spanIds: readonly string[];
}

/** A transport that answers what it is told to, one answer an attempt, the last one for ever. */
class FakeTransport implements Transport {
  readonly sent: Sent[] = [];
  closed = false;
  answers: (ExportOutcome | Promise<ExportOutcome>)[];
  #waiting: (() => void)[] = [];

  constructor(...answers: (ExportOutcome | Promise<ExportOutcome>)[]) {
    this.answers = answers;
  }

  async send(body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<ExportOutcome> {
    const spanIds = decodeRequest(body).flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans.map(({ spanId }) => spanId)),
    );
    this.sent.push({ id: headers['tracecar-batch'] ?? '', body: Buffer.from(body), spanIds });
    for (const wake of this.#waiting.splice(0)) wake();
    return this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!;
  }

  close(): void {
    this.closed = true;
  }

  async attempts(count: number): Promise<void> {
    while (this.sent.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

const defaults: ExporterOptions = {
  maxQueueSize: 100,
  maxExportBatchSize: 2,
  scheduleDelayMs: 5,
  serviceName: 's',
  resource: new Map(),
  maxElapsedMs: 60_000,
};

function create(transport: FakeTransport, more: Partial<ExporterOptions> = {}) {
  const { encoder } = createTracer();
  const template = new SpanTemplate(facts);
  const read = (response: Uint8Array) => {
    const { rejectedSpans, errorMessage } = decodeResponse(response);
    return { rejectedSpans, message: errorMessage };
  };
  const exporter = new Exporter({ ...defaults, ...more }, encoder, transport, read, createLog('test', 'silent'));
  let next = 1;
  const add = (count: number) => {
    for (let i = 0; i < count; i++) {
      const spanId = (next++).toString(16).padStart(16, '0');
      exporter.add(
        Object.assign(new Exchange(), { traceId: 'a'.repeat(32), spanId, method: 'GET', target: '/' }),
        template,
        1,
      );
    }
  };
  return { exporter, add };
}

function checkSum(exporter: Exporter): void {
  const dropped = [...exporter.dropped.values()].reduce((sum, value) => sum + value, 0);
  assert.equal(exporter.created, exporter.exported + dropped + exporter.queued);
}

test('a full batch goes at once, the rest after the delay, each span once and in order', async () => {
  const transport = new FakeTransport(accepted);
  const { exporter, add } = create(transport);
  add(5);
  await transport.attempts(3);
  await exporter.shutdown(1000);
  assert.deepEqual(
    transport.sent.flatMap(({ spanIds }) => spanIds.map((id) => Number.parseInt(id, 16))),
    [1, 2, 3, 4, 5],
  );
  assert.deepEqual([exporter.exported, exporter.queued, exporter.dropped.size], [5, 0, 0]);
  assert.equal(transport.closed, true);
  checkSum(exporter);
});

test('a batch that must wait is repeated with the same bytes and the same id', async () => {
  const transport = new FakeTransport(retry, accepted);
  const { exporter, add } = create(transport, { maxExportBatchSize: 1 });
  add(1);
  await transport.attempts(2);
  await exporter.shutdown(1000);
  const [first, second] = transport.sent;
  assert.match(first!.id, /^[0-9a-f]{16}\/\d+\/0$/);
  assert.equal(second!.id, first!.id);
  assert.deepEqual(second!.body, first!.body);
  assert.equal(exporter.exported, 1);
  checkSum(exporter);
});

test('a full queue drops the newest span, counted, and takes spans again when there is room', async () => {
  let open: (outcome: ExportOutcome) => void = () => {};
  const gate = new Promise<ExportOutcome>((resolve) => {
    open = resolve;
  });
  const transport = new FakeTransport(gate);
  const { exporter, add } = create(transport, { maxQueueSize: 3 });
  add(5);
  assert.deepEqual([exporter.created, exporter.queued, exporter.dropped.get('queue_full')], [5, 3, 2]);
  checkSum(exporter);
  open(accepted);
  await transport.attempts(2);
  await exporter.shutdown(1000);
  assert.equal(exporter.exported, 3);
  checkSum(exporter);
});

test('a refusal is final and counted; the next batch goes on', async () => {
  const transport = new FakeTransport({ kind: 'rejected', reason: 'HTTP 400', splittable: true }, accepted);
  const { exporter, add } = create(transport);
  add(4);
  await transport.attempts(2);
  await exporter.shutdown(1000);
  assert.deepEqual([exporter.exported, exporter.dropped.get('rejected')], [2, 2]);
  checkSum(exporter);
});

test('a partial success counts what was refused, and is not repeated', async () => {
  const response = encodeResponse({ rejectedSpans: 1, errorMessage: 'bad' });
  const transport = new FakeTransport({ kind: 'accepted', response });
  const { exporter, add } = create(transport);
  add(2);
  await exporter.shutdown(1000);
  assert.equal(transport.sent.length, 1);
  assert.deepEqual([exporter.exported, exporter.dropped.get('partial_success')], [1, 1]);
  checkSum(exporter);
});

test('what cannot be delivered is given up after its time, counted', async () => {
  const transport = new FakeTransport(retry);
  const { exporter, add } = create(transport, { maxElapsedMs: 0 });
  add(2);
  await exporter.shutdown(1000);
  assert.deepEqual([exporter.queued, exporter.dropped.get('retry_expired')], [0, 2]);
  checkSum(exporter);
});

test('shutdown waits no longer than it is told and counts what is left; a late answer changes nothing', async () => {
  let open: (outcome: ExportOutcome) => void = () => {};
  const transport = new FakeTransport(
    new Promise<ExportOutcome>((resolve) => {
      open = resolve;
    }),
  );
  const { exporter, add } = create(transport);
  add(3);
  await exporter.shutdown(20);
  assert.deepEqual([exporter.queued, exporter.dropped.get('shutdown')], [0, 3]);
  open(accepted);
  await new Promise(setImmediate);
  assert.equal(exporter.exported, 0);
  checkSum(exporter);
});

test('a span that cannot be encoded costs itself alone', async () => {
  const transport = new FakeTransport(accepted);
  const { exporter, add } = create(transport);
  const broken = Object.assign(new Exchange(), { traceId: undefined, spanId: 'x' });
  exporter.add(broken, new SpanTemplate(facts), 1);
  add(1);
  await exporter.shutdown(1000);
  assert.deepEqual(
    transport.sent.map(({ spanIds }) => spanIds.length),
    [1],
  );
  assert.equal(exporter.dropped.get('encode_error'), 1);
  checkSum(exporter);
});
