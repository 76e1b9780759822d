// The event loop's lag as metrics: a stall shows, and only in the scrape after it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRegistry } from '../../src/runtime/metrics.ts';

type Registry = ReturnType<typeof createRegistry>;

async function read(registry: Registry, name: string): Promise<number> {
  const page = await registry.metrics();
  const [, value] = new RegExp(`^nodejs_eventloop_lag_${name}_seconds (\\S+)$`, 'm').exec(page) ?? [];
  return Number(value);
}

test('a stall is the maximum until it has been read', async () => {
  const registry = createRegistry();
  const startMs = performance.now();
  while (performance.now() - startMs < 400);
  // A turn of the loop, so that the late timer is seen.
  await sleep(5);
  const max = await read(registry, 'max');
  assert.ok(max > 0.25 && max < 5, `${max} s`);
  await sleep(250);
  assert.ok((await read(registry, 'max')) < max);
});

test('a quiet loop shows a lag near zero, not the period of the watch', async () => {
  const registry = createRegistry();
  await sleep(500);
  const median = await read(registry, 'p50');
  assert.ok(median > 0 && median < 0.05, `${median} s`);
});
