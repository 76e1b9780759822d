import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMetrics, sumOf } from '../../../src/cli/demo/metrics-text.ts';

const text = `# HELP a_total Some help with {braces} 1
# TYPE a_total counter
a_total 3
b{reason="queue_full",x="a\\"b\\\\c\\nd"} 2
b{reason="other"} 4.5
c_bucket{le="+Inf"} 7 1700000000
process_x NaN

{garbage} 1
 no sample
`;

test('samples come with their labels unescaped; comments and garbage are left out', () => {
  const samples = parseMetrics(text);
  assert.deepEqual(
    samples.map((sample) => sample.name),
    ['a_total', 'b', 'b', 'c_bucket', 'process_x'],
  );
  assert.deepEqual(samples[1]!.labels, { reason: 'queue_full', x: 'a"b\\c\nd' });
  assert.equal(samples[3]!.value, 7);
});

test('sums go over all labels, or those asked for, with or without _total', () => {
  const samples = parseMetrics(text);
  assert.equal(sumOf(samples, 'b'), 6.5);
  assert.equal(sumOf(samples, 'b', { reason: 'other' }), 4.5);
  assert.equal(sumOf(samples, 'a'), 3);
  assert.equal(sumOf(samples, 'a_total'), 3);
  assert.equal(sumOf(samples, 'missing'), 0);
});
