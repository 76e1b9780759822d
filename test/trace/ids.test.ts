import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRequestId, newSpanId, newTraceId, randomnessOf } from '../../src/trace/ids.ts';

test('ids are lower-case hex of their length and do not repeat across pools', () => {
  const spans = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    const span = newSpanId();
    assert.match(span, /^[0-9a-f]{16}$/);
    spans.add(span);
  }
  assert.equal(spans.size, 20_000);
  assert.match(newTraceId(), /^[0-9a-f]{32}$/);
});

test('randomness is the top of the low 56 bits of the trace id', () => {
  assert.equal(randomnessOf('ffffffffffffffffff00000000000000'), 0);
  assert.equal(randomnessOf('00000000000000000080000000000000'), 0.5);
  assert.equal(randomnessOf('00000000000000000040000000000000'), 0.25);
  assert.ok(randomnessOf('000000000000000000ffffffffffffff') < 1);
});

test("a request id is a version 4 UUID and its first eight digits mod 10000 agree with the trace's randomness", () => {
  for (let i = 0; i < 2000; i++) {
    const randomness = randomnessOf(newTraceId());
    const id = newRequestId(randomness);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(Number.parseInt(id.slice(0, 8), 16) % 10_000, 9999 - Math.floor(randomness * 10_000));
  }
  assert.equal(Number.parseInt(newRequestId(0).slice(0, 8), 16) % 10_000, 9999);
  assert.equal(Number.parseInt(newRequestId(0.99999).slice(0, 8), 16) % 10_000, 0);
});
