import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { EpisodeLog } from '../../src/collector/exporters/episode-log.ts';

function setUp() {
  const messages: string[] = [];
  const log = pino({}, { write: (line) => messages.push(JSON.parse(line).msg) });
  const clock = { nowMs: 0 };
  return { episodes: new EpisodeLog('jaeger', log, () => clock.nowMs), messages, clock };
}

const accepted = { kind: 'accepted', response: new Uint8Array() } as const;
const retry = { kind: 'retry', reason: 'ECONNREFUSED' } as const;
const rejected = { kind: 'rejected', reason: 'HTTP 400', splittable: true } as const;

test('a backend that goes and comes back is two lines, however many attempts', () => {
  const { episodes, messages, clock } = setUp();
  for (const outcome of [accepted, retry, retry, retry, accepted, accepted]) episodes.outcome(outcome, 7);
  assert.deepEqual(messages, ['the backend does not take spans now', 'the backend takes spans again']);
  for (const outcome of [retry, accepted, retry, accepted]) episodes.outcome(outcome, 7);
  assert.equal(messages.length, 2, 'flapping is quiet');
  clock.nowMs = 10_001;
  for (const outcome of [retry, accepted]) episodes.outcome(outcome, 7);
  assert.equal(messages.length, 4);
});

test('refusals are told once in a while', () => {
  const { episodes, messages, clock } = setUp();
  for (let count = 0; count < 5; count++) episodes.outcome(rejected, 0);
  clock.nowMs = 10_001;
  episodes.outcome(rejected, 0);
  assert.deepEqual(messages, ['the backend refuses spans', 'the backend refuses spans']);
});

test('a full queue is one line until it is half empty', () => {
  const { episodes, messages } = setUp();
  const steps = [
    [true, 90],
    [false, 100],
    [false, 100],
    [true, 99],
    [false, 100],
    [true, 49],
    [false, 100],
  ] as const;
  for (const [isTaken, bytes] of steps) episodes.queue(isTaken, bytes, 100);
  assert.deepEqual(messages, [
    'the queue is full; new spans are dropped and counted',
    'the queue has room again',
    'the queue is full; new spans are dropped and counted',
  ]);
});

test('a partial success is told once until one is full again', () => {
  const { episodes, messages } = setUp();
  const full = { rejectedSpans: 0, errorMessage: '' };
  const warning = { rejectedSpans: 0, errorMessage: 'old schema' };
  for (const answer of [full, warning, { rejectedSpans: 2, errorMessage: '' }, full, warning])
    episodes.partialSuccess(answer);
  assert.deepEqual(messages, ['the backend did not take everything', 'the backend did not take everything']);
});
