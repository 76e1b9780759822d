import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredSpan } from '../../../src/cli/demo/stored-spans.ts';
import { renderWaterfall } from '../../../src/cli/demo/waterfall.ts';

const span = (spanId: string, parentId: string, service: string, startUs: number, durationUs: number): StoredSpan => ({
  ...{ traceId: 'a'.repeat(32), spanId, parentId, service, name: 'op', kind: 'SERVER', error: service === 'bad' },
  ...{ startUs, durationUs, tags: { 'http.response.status_code': service === 'bad' ? 503 : 200 } },
});
const spans = [
  span('3', '1', 'bad', 5500, 2500),
  span('1', '', 'shop', 1000, 8000),
  span('2', '1', 'stock', 1000, 4000),
  span('4', '2', 'db', 3000, 0),
];

test('rows stand as a tree in order of their start, with bars on one scale', () => {
  const lines = renderWaterfall(spans, { width: 70, colour: false });
  assert.deepEqual(
    lines.map((line) => line.slice(0, 8).trimEnd()),
    ['shop', '├ stock', '│ └ db', '└ bad'],
  );
  const bars = lines.map((line) => line.slice(line.indexOf('│', 4) + 1, -1));
  assert.equal(new Set(bars.map((bar) => bar.length)).size, 1);
  const width = bars[0]!.length;
  assert.equal(bars[0], '█'.repeat(width));
  assert.equal(bars[1]!.trimEnd().length, Math.round(width / 2));
  assert.match(bars[2]!, /^ +▏ +$/);
  assert.equal(bars[3]!.search(/\S/), Math.floor(width * 0.5625));
  assert.ok(lines.every((line) => line.length <= 70));
  assert.match(lines[3]!, /SERVER op {2}503 {2}2\.5 ms/);
});

test('colour comes only when asked for, red for errors', () => {
  assert.ok(renderWaterfall(spans, { width: 80, colour: false }).every((line) => !line.includes('\u001b')));
  const coloured = renderWaterfall(spans, { width: 80, colour: true });
  assert.ok(coloured[3]!.startsWith('\u001b[31m└ bad'));
  assert.ok(!coloured[0]!.includes('\u001b[31m'));
});

test('a span whose parent is missing is still shown', () => {
  const lines = renderWaterfall([span('9', 'gone', 'lost', 0, 10)], { width: 60, colour: false });
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /^lost/);
});
