import assert from 'node:assert/strict';
import { test } from 'node:test';
import { correctedEpoch, nowMs } from '../../src/sidecar/clock.ts';

test('the clock agrees with the wall clock and never runs backwards', () => {
  let last = nowMs();
  assert.ok(Math.abs(last - Date.now()) < 50);
  for (let i = 0; i < 1000; i++) {
    const next = nowMs();
    assert.ok(next >= last);
    last = next;
  }
});

test('the epoch follows the wall clock only when it has drifted', () => {
  assert.equal(correctedEpoch(1_000_000, 1_000_500, 500), 1_000_000);
  assert.equal(correctedEpoch(1_000_000, 1_000_501, 500), 1_000_000);
  assert.equal(correctedEpoch(1_000_000, 1_000_520, 500), 1_000_020.5);
  assert.equal(correctedEpoch(1_000_000, 1_000_400, 500), 999_900.5);
});
