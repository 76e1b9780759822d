import assert from 'node:assert/strict';
import { test } from 'node:test';
import { viewerRoutes } from '../../src/ui/routes.ts';
import { request, traceA } from '../store/requests.ts';
import { serveStore } from '../store/store-server.ts';
import { findBrowser, openPage } from './browser.ts';

const browser = findBrowser() ?? '';
const options = browser === '' ? { skip: 'no Chromium found: set CHROMIUM or put it in PATH' } : {};

const root = '1111111111111111';
const spans = [
  request(
    'shop',
    { name: 'root', durationUs: 100_000 },
    { spanId: '22'.repeat(8), parentSpanId: root, name: 'first', atUs: 10_000, durationUs: 50_000 },
    { spanId: '33'.repeat(8), parentSpanId: '22'.repeat(8), name: 'inner', atUs: 20_000, durationUs: 10_000 },
    { spanId: '44'.repeat(8), parentSpanId: root, name: 'second', atUs: 70_000, durationUs: 10_000, statusCode: 2 },
  ),
];

const focused = "document.activeElement.querySelector('.operation')?.textContent ?? document.activeElement.id";
const visible = "[...document.querySelectorAll('.row')].filter((row) => !row.hidden).length";
const scale = "document.querySelector('.scale').getAttribute('aria-label')";

test('the waterfall is reached by Tab as one stop, and walked, folded and opened by keys', options, async (t) => {
  const { viewer } = await serveStore(t, spans, viewerRoutes());
  const page = await openPage(t, browser, `${viewer}/trace/${traceA}`);
  const reached: unknown[] = [];
  while (reached.at(-1) !== 'root' && reached.length < 20) {
    await page.press('Tab');
    reached.push(await page.evaluate(focused));
  }
  assert.equal(reached.at(-1), 'root');
  assert.ok(reached.includes('lookup-id') && reached.includes('find'), String(reached));

  const walk = async (key: string) => {
    await page.press(key);
    return [await page.evaluate(focused), await page.evaluate(visible)];
  };
  assert.deepEqual(await walk('ArrowDown'), ['first', 4]);
  assert.deepEqual(await walk('ArrowLeft'), ['first', 3]);
  assert.deepEqual(await walk('ArrowDown'), ['second', 3]);
  assert.deepEqual(await walk('ArrowUp'), ['first', 3]);
  assert.deepEqual(await walk('ArrowRight'), ['first', 4]);
  assert.deepEqual(await walk('ArrowRight'), ['inner', 4]);
  assert.deepEqual(await walk('ArrowLeft'), ['first', 4]);
  assert.deepEqual(await walk('ArrowLeft'), ['first', 3]);
  assert.deepEqual(await walk('ArrowLeft'), ['root', 3]);
  assert.deepEqual(await walk('End'), ['second', 3]);

  await page.press('Enter');
  assert.match(String(await page.evaluate("document.querySelector('.details').textContent")), /Operationsecond/);
  await page.press('Enter');
  assert.equal(await page.evaluate("document.querySelector('.details')"), null);
});

test('z shows a span’s time alone and Escape all of it again', options, async (t) => {
  const { viewer } = await serveStore(t, spans, viewerRoutes());
  const page = await openPage(t, browser, `${viewer}/trace/${traceA}?span=${'22'.repeat(8)}`);
  assert.equal(await page.evaluate(scale), 'Time, from 0µs to 100ms');
  await page.press('z');
  assert.equal(await page.evaluate(scale), 'Time, from 10ms to 60ms');
  assert.deepEqual(
    await page.evaluate("[...document.querySelectorAll('.row.outside .operation')].map((each) => each.textContent)"),
    ['second'],
  );
  await page.press('Escape');
  assert.equal(await page.evaluate(scale), 'Time, from 0µs to 100ms');
  assert.equal(await page.evaluate("document.querySelectorAll('.row.outside').length"), 0);
});

test('finding unfolds the way to a match, and the next error is one key away', options, async (t) => {
  const { viewer } = await serveStore(t, spans, viewerRoutes());
  const page = await openPage(t, browser, `${viewer}/trace/${traceA}`);
  const click = (label: string) =>
    page.evaluate(`[...document.querySelectorAll('button')].find((each) => each.textContent === '${label}').click()`);
  await click('Collapse all');
  assert.equal(await page.evaluate(visible), 1);
  await page.evaluate("document.querySelector('#find').focus()");
  for (const key of 'inner') await page.press(key);
  assert.equal(await page.evaluate("document.querySelector('output').value"), '1 match');
  await page.press('Enter');
  assert.deepEqual([await page.evaluate(focused), await page.evaluate(visible)], ['inner', 4]);
  await click('Next error');
  assert.equal(await page.evaluate(focused), 'second');
});
