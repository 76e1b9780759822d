// The histogram of the open-loop scenarios: its layout is shared with the generator in Go.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Histogram } from '../../loadtest/histogram.ts';

test('values below 256 µs are exact', () => {
  const histogram = new Histogram();
  for (let us = 1; us <= 200; us++) histogram.add(us);
  assert.equal(histogram.percentileMs(50), 0.1);
  assert.equal(histogram.percentileMs(99), 0.198);
  assert.equal(histogram.percentileMs(100), 0.2);
});

test('larger values are at most 0.8 % too high, and never too low', () => {
  for (let us = 256; us < 100_000_000; us = Math.ceil(us * 1.37)) {
    const histogram = new Histogram();
    histogram.add(us);
    const shown = histogram.percentileMs(50) * 1000;
    assert.ok(shown >= us - 1e-6 && shown <= us * 1.008, `${us} is shown as ${shown}`);
  }
});

test('the buckets have the layout of the generator in Go', () => {
  const histogram = new Histogram();
  for (const us of [0, 255, 256, 257, 258, 511, 512, 1_000_000]) histogram.add(us);
  assert.deepEqual(histogram.sparse(), [
    [0, 1],
    [255, 1],
    [256, 2],
    [257, 1],
    [383, 1],
    [384, 1],
    [12 * 128 + Math.floor(1_000_000 / 2 ** 12), 1],
  ]);
});

test('merging keeps every count and the largest value', () => {
  const [one, other] = [new Histogram(), new Histogram()];
  for (const us of [10, 20, 30]) one.add(us);
  for (const us of [40, 12_345]) other.add(us);
  one.merge(other);
  assert.equal(one.count, 5);
  assert.equal(one.percentileMs(50), 0.03);
  assert.equal(one.percentileMs(100), 12.345);
});

test('nothing counted has no percentile', () => {
  assert.ok(Number.isNaN(new Histogram().percentileMs(99)));
});
