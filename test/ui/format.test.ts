import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './static.ts';

const { duration, ago, count, dateTime } = await load<{
  duration(us: number): string;
  ago(us: number, nowUs: number): string;
  count(number: number, noun: string): string;
  dateTime(us: number): string;
}>('format.js');
const { ticks } = await load<{ ticks(fromUs: number, toUs: number): { atUs: number; share: number }[] }>(
  'time-axis.js',
);
const { serviceColours } = await load<{ serviceColours(services: string[]): Map<string, string> }>('colours.js');

test('durations have three digits and the unit that fits', () => {
  const cases: [number, string][] = [
    [0, '0µs'],
    [1, '1µs'],
    [999, '999µs'],
    [1000, '1ms'],
    [12_345, '12.3ms'],
    [999_499, '999ms'],
    [999_999, '1s'],
    [1_250_000, '1.25s'],
    [59_900_000, '59.9s'],
    [59_990_000, '1m 00s'],
    [125_000_000, '2m 05s'],
    [3_720_000_000, '1h 02m'],
    [-1500, '-1.5ms'],
  ];
  for (const [us, text] of cases) assert.equal(duration(us), text, String(us));
});

test('times and counts read as text', () => {
  const now = 1_700_000_000_000_000;
  assert.deepEqual(
    [0, 12e6, 180e6, 7200e6, 4 * 86_400e6].map((past) => ago(now - past, now)),
    ['just now', '12 s ago', '3 min ago', '2 h ago', '4 days ago'],
  );
  assert.deepEqual([count(1, 'span'), count(1204, 'span')], ['1 span', '1,204 spans']);
  assert.match(dateTime(now), /^2023-11-1[45] \d\d:\d\d:\d\d\.000$/);
});

test('the axis has three to nine round ticks within the duration', () => {
  assert.deepEqual(
    ticks(0, 52_000).map((tick) => tick.atUs),
    [0, 10_000, 20_000, 30_000, 40_000, 50_000],
  );
  assert.deepEqual(ticks(11_000, 18_500), [
    { atUs: 12_000, share: 1 / 7.5 },
    { atUs: 14_000, share: 3 / 7.5 },
    { atUs: 16_000, share: 5 / 7.5 },
    { atUs: 18_000, share: 7 / 7.5 },
  ]);
  assert.deepEqual(ticks(0, 0), [{ atUs: 0, share: 0 }]);
  for (const us of [1, 3, 7, 999, 2_400_000, 45e6, 61e6, 400e6, 86_400e6, 30 * 86_400e6]) {
    const marks = ticks(0, us);
    assert.ok(marks.length >= 2 && marks.length <= 9, `${us}: ${marks.length} ticks`);
    assert.ok(
      marks.every((tick) => tick.share >= 0 && tick.share <= 1 && Math.abs(tick.atUs - tick.share * us) < 1e-3),
    );
  }
});

test('services on one page have different colours, the same ones whatever the order', () => {
  const services = Array.from({ length: 16 }, (_, index) => `service-${index}`);
  const colours = serviceColours(services);
  assert.equal(new Set(colours.values()).size, 16);
  assert.deepEqual([...serviceColours([...services].reverse())], [...colours]);
  assert.equal(serviceColours([...services, 'more', 'and more']).size, 18);
});
