import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type BackendClient,
  defaultExporterSettings,
  QueuedExporter,
} from '../../src/collector/exporters/queued-exporter.ts';
import { fullSuccess } from '../../src/formats/otlp/response.ts';
import type { ExportOutcome } from '../../src/runtime/export/outcome.ts';
import { createLog } from '../../src/runtime/log.ts';
import { encodeByOracle } from '../formats/otlp/oracle.ts';
import { plainSpan, requestOf } from '../formats/otlp/samples.ts';

function setUp(send: BackendClient['send']): QueuedExporter {
  const client: BackendClient = { send, readPartialSuccess: () => fullSuccess, close: () => {} };
  const settings = { ...defaultExporterSettings, batchBytes: 1 };
  let part = 0;
  return new QueuedExporter('stub', client, settings, createLog('test', 'silent'), () => `stub/1/${++part}`);
}

const request = { bytes: encodeByOracle(requestOf([plainSpan(0), plainSpan(1)])), spans: 2 };

test('an answer that comes after the batch was given up changes no account', async () => {
  let answer: (outcome: ExportOutcome) => void = () => {};
  const exporter = setUp(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  exporter.accept(request);
  await exporter.drain(0);
  assert.deepEqual(Object.fromEntries(exporter.stats.dropped), { shutdown: 2 });
  answer({ kind: 'accepted', response: new Uint8Array() });
  await nextTurn();
  assert.equal(exporter.stats.sent, 0);
  assert.deepEqual(Object.fromEntries(exporter.stats.dropped), { shutdown: 2 });
  assert.deepEqual([exporter.queuedSpans, exporter.queuedBytes], [0, 0]);
});

test('a client that breaks its promise and throws costs its batch, counted, and the next one goes on', async () => {
  let calls = 0;
  const exporter = setUp(() => {
    calls++;
    if (calls === 1) throw new Error('a bug');
    return Promise.resolve({ kind: 'accepted', response: new Uint8Array() });
  });
  exporter.accept(request);
  exporter.accept(request);
  await exporter.drain(5_000);
  assert.deepEqual([exporter.stats.sent, Object.fromEntries(exporter.stats.dropped)], [2, { internal_error: 2 }]);
});
