import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Batch, SendingQueue } from '../../src/collector/exporters/sending-queue.ts';

const options = { maxBytes: 1_000, batchBytes: 100, batchDelayMs: 60_000, maxBatchBytes: 250 };

function request(bytes: number, spans = 1) {
  return { bytes: new Uint8Array(bytes), spans };
}

/** What a taker got: nothing yet, a batch, or the end. */
function taker(queue: SendingQueue): { batch: Batch | 'end' | undefined } {
  const seen: { batch: Batch | 'end' | undefined } = { batch: undefined };
  queue.take((batch) => {
    seen.batch = batch ?? 'end';
  });
  return seen;
}

function sizes(batch: Batch | 'end' | undefined): number[] {
  assert.ok(typeof batch === 'object');
  return batch.requests.map(({ bytes }) => bytes.byteLength);
}

test('a batch is handed out when enough bytes wait', (t) => {
  const queue = new SendingQueue(options);
  t.after(() => queue.close());
  const seen = taker(queue);
  queue.offer(request(60));
  assert.equal(seen.batch, undefined);
  queue.offer(request(40));
  assert.deepEqual(sizes(seen.batch), [60, 40]);
});

test('a batch is handed out when the oldest request has waited long enough', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const now = t.mock.method(performance, 'now', () => 0);
  const queue = new SendingQueue({ ...options, batchDelayMs: 200 });
  const seen = taker(queue);
  queue.offer(request(10));
  now.mock.mockImplementation(() => 150);
  queue.offer(request(20));
  t.mock.timers.tick(49);
  assert.equal(seen.batch, undefined);
  now.mock.mockImplementation(() => 200);
  t.mock.timers.tick(51);
  assert.deepEqual(sizes(seen.batch), [10, 20]);
});

test('no batch is longer than its limit, unless one request is', () => {
  const queue = new SendingQueue(options);
  for (const bytes of [100, 100, 100, 300, 10]) assert.equal(queue.offer(request(bytes)), true);
  assert.deepEqual(sizes(taker(queue).batch), [100, 100]);
  assert.deepEqual(sizes(taker(queue).batch), [100]);
  assert.deepEqual(sizes(taker(queue).batch), [300]);
  queue.close();
  assert.deepEqual(sizes(taker(queue).batch), [10]);
  assert.equal(taker(queue).batch, 'end');
});

test('the bound holds for what waits and what is being sent, until it is released', () => {
  const queue = new SendingQueue(options);
  assert.equal(queue.offer(request(250, 3)), true);
  const { batch } = taker(queue);
  assert.ok(typeof batch === 'object');
  assert.deepEqual([queue.bytes, queue.spans], [250, 0]);
  for (let count = 0; count < 3; count++) assert.equal(queue.offer(request(250, 2)), true);
  assert.equal(queue.offer(request(1)), false);
  assert.deepEqual([queue.bytes, queue.spans], [1_000, 6]);
  queue.release(batch);
  assert.equal(queue.offer(request(250)), true);
});

test('takers are served in the order they came', () => {
  const queue = new SendingQueue(options);
  const takers = [taker(queue), taker(queue), taker(queue)];
  queue.offer(request(101));
  queue.offer(request(102));
  queue.close();
  assert.deepEqual([sizes(takers[0]?.batch), sizes(takers[1]?.batch), takers[2]?.batch], [[101], [102], 'end']);
});

test('a closed queue takes nothing more', () => {
  const queue = new SendingQueue(options);
  queue.close();
  assert.equal(queue.offer(request(1)), false);
});

test('clear gives up what waits and says how many spans that was', () => {
  const queue = new SendingQueue(options);
  queue.offer(request(10, 4));
  queue.offer(request(10, 5));
  assert.equal(queue.clear(), 9);
  assert.deepEqual([queue.bytes, queue.spans], [0, 0]);
  queue.offer(request(120, 1));
  assert.deepEqual(sizes(taker(queue).batch), [120]);
});
