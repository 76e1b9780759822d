import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findTraces } from '../../src/store/find-traces.ts';
import { TraceStore } from '../../src/store/trace-store.ts';
import { request } from './requests.ts';

function filled(count: number, text = ''): TraceStore {
  const store = new TraceStore();
  for (let index = 0; index < count; index++) {
    const traceId = (index + 1).toString(16).padStart(32, '0');
    store.accept(request('shop', { traceId, atUs: index, tags: { text } }));
  }
  return store;
}

test('the newest come first, the limit holds, and nothing is looked at behind it', async () => {
  let looked = 0;
  const found = await findTraces(filled(10), 3, (trace) => {
    looked++;
    return Number.parseInt(trace.traceId, 16) % 2 === 0;
  });
  assert.deepEqual(
    found.map((trace) => Number.parseInt(trace.traceId, 16)),
    [10, 8, 6],
  );
  assert.equal(looked, 5);
});

test('a long search lets other work run in between', async () => {
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  const busy = () => {
    for (const until = performance.now() + 4; performance.now() < until; );
    return false;
  };
  assert.deepEqual(await findTraces(filled(25), 100, busy), []);
  clearInterval(ticking);
  assert.ok(turns >= 3, `${turns} turns`);
});

test('an answer is bounded in bytes, but never empty for it', async () => {
  const store = filled(4, 'x'.repeat(12 * 1024 * 1024));
  assert.equal((await findTraces(store, 100, () => true)).length, 2);
  const huge = filled(2, 'x'.repeat(40 * 1024 * 1024));
  assert.equal((await findTraces(huge, 100, () => true)).length, 1);
});
