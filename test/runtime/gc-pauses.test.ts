// Garbage collections are seen while they are watched, and stand for those that are not.
import assert from 'node:assert/strict';
import test from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Registry } from 'prom-client';
import { registerGcPauses } from '../../src/runtime/gc-pauses.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** The value of a sample once it is not 0. */
async function seen(registry: Registry, sample: string): Promise<number> {
  for (;;) {
    const page = await registry.metrics();
    const line = page.split('\n').find((text) => text.startsWith(`${sample} `));
    if (line !== undefined) return Number(line.slice(sample.length));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('each collection is counted with its pause by its kind', async () => {
  const registry = new Registry();
  registerGcPauses(registry, { watchMs: 60_000, periodMs: 60_000 });
  collect();
  assert.ok((await seen(registry, 'nodejs_gc_duration_seconds_count{kind="major"}')) >= 1);
  const sum = await seen(registry, 'nodejs_gc_duration_seconds_sum{kind="major"}');
  assert.ok(sum > 0 && sum < 5, `${sum} s`);
});

test('watched a tenth of the time, one that is seen counts ten times', async () => {
  const registry = new Registry();
  registerGcPauses(registry, { watchMs: 60_000, periodMs: 600_000 });
  collect();
  const count = await seen(registry, 'nodejs_gc_duration_seconds_count{kind="major"}');
  assert.ok(count >= 10 && count % 10 === 0, String(count));
});

test('outside of the watch nothing is observed', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const registry = new Registry();
  registerGcPauses(registry, { watchMs: 1_000, periodMs: 10_000 });
  context.mock.timers.tick(1_000);
  const before = await registry.metrics();
  collect();
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await registry.metrics(), before);
  context.mock.timers.tick(9_000);
  collect();
  assert.ok((await seen(registry, 'nodejs_gc_duration_seconds_count{kind="major"}')) >= 10);
});
