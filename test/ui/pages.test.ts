import assert from 'node:assert/strict';
import { test } from 'node:test';
import { viewerRoutes } from '../../src/ui/routes.ts';
import { attributes, nowUs, request, traceA, traceB } from '../store/requests.ts';
import { serveStore } from '../store/store-server.ts';
import { dumpDom, findBrowser } from './browser.ts';

const browser = findBrowser() ?? '';
const options = browser === '' ? { skip: 'no Chromium found: set CHROMIUM or put it in PATH' } : {};

const attack = `<img src=x onerror="document.title='HACKED'"><script>document.title='HACKED'</script>`;
const escaped = '&lt;img src=x onerror="document.title=\'HACKED\'"&gt;&lt;script&gt;';

const event = {
  timeUnixNano: BigInt(nowUs) * 1000n,
  name: `event ${attack}`,
  attributes: attributes({ [`field ${attack}`]: attack }),
  droppedAttributesCount: 0,
};

const requests = [
  request(
    'shop',
    { atUs: -50_000, durationUs: 40_000, name: 'POST /buy', kind: 2 },
    {
      spanId: '2222222222222222',
      parentSpanId: '1111111111111111',
      atUs: -45_000,
      durationUs: 12_300,
      name: 'charge',
      kind: 3,
      statusCode: 2,
      tags: { 'http.response.status_code': 503 },
    },
    { spanId: '3333333333333333', parentSpanId: '9999999999999999', atUs: -44_000, name: 'lost' },
  ),
  request(`service ${attack}`, {
    traceId: traceB,
    atUs: -1_000_000,
    name: `operation ${attack}`,
    tags: { [`key ${attack}`]: attack, nested: '["<b>"]' },
    events: [event],
  }),
];

/** The rows of the waterfall: level and text. */
function rows(dom: string): string[] {
  return [...dom.matchAll(/<div class="row[^>]*aria-level="(\d+)"[^>]*>(.*?)<\/div><div class="lane"/gs)].map(
    ([, level, cells]) =>
      `${level} ${cells!
        .replace(/<[^>]+>/g, ' ')
        .replace(/\s+/g, ' ')
        .trim()}`,
  );
}

test('the list shows each trace with root, duration, spans, services and errors', options, async (t) => {
  const { viewer } = await serveStore(t, requests, viewerRoutes());
  const dom = await dumpDom(browser, `${viewer}/`);
  assert.match(dom, /<h1>2 traces, 1 with errors<\/h1>/);
  const links = [...dom.matchAll(/class="trace-row" href="([^"]+)"/g)].map(([, href]) => href);
  assert.deepEqual(links, [`/trace/${traceA}`, `/trace/${traceB}`]);
  const first = dom.slice(
    dom.indexOf('class="trace-row"'),
    dom.indexOf('class="trace-row"', dom.indexOf('trace-row') + 20),
  );
  assert.match(first, />shop<\/span><span class="operation">POST \/buy<\/span>/);
  assert.match(first, />40ms<.*>3 spans<.*⚠ 1 error<.*>incomplete</s);
});

test('a search by the address shows only what matches, with the form filled in', options, async (t) => {
  const { viewer } = await serveStore(t, requests, viewerRoutes());
  const dom = await dumpDom(browser, `${viewer}/search?service=shop&errors=1&min=12ms&max=13ms`);
  assert.match(dom, /<h1>1 trace, 1 with errors<\/h1>/);
  assert.match(dom, /<option value="shop" selected="">/);
  assert.match(dom, /<input type="checkbox" name="errors" value="1" checked="">/);
  assert.match(dom, /<option value="charge">/);
  const wrong = await dumpDom(browser, `${viewer}/search?service=shop&min=9s&max=1s`);
  assert.match(wrong, /The search failed.*'maxDuration' should be greater than 'minDuration'/s);
});

test('a trace is a waterfall: the tree in order, durations, errors and missing parents marked', options, async (t) => {
  const { viewer } = await serveStore(t, requests, viewerRoutes());
  const dom = await dumpDom(browser, `${viewer}/trace/${traceA}`);
  assert.deepEqual(rows(dom), [
    '1 △ shop POST /buy server +1',
    '2 ⚠ shop charge client',
    '1 shop lost internal parent missing',
  ]);
  assert.match(dom, /<title>shop: POST \/buy · Tracecar<\/title>/);
  assert.deepEqual(
    [...dom.matchAll(/class="label"[^>]*>([^<]+)</g)].map(([, label]) => label),
    ['40ms', '12.3ms', '1ms'],
  );
  assert.match(dom, /the parent of 1 span is missing/);
  assert.match(dom, /--start: 0\.125; --length: 0\.3075/);
});

test('a link to a span opens its details', options, async (t) => {
  const { viewer } = await serveStore(t, requests, viewerRoutes());
  const dom = await dumpDom(browser, `${viewer}/trace/${traceA}?span=2222222222222222`);
  const details = dom.slice(dom.indexOf('class="details"'));
  assert.match(details, /http\.response\.status_code<\/th><td><code class="plain">503<\/code>/);
  assert.match(details, /<th scope="row">otel\.status_code<\/th><td>ERROR</);
  assert.match(details, /Parent id<\/dt><dd><code>1111111111111111</);
});

test('names, keys and values that carry markup are text everywhere', options, async (t) => {
  const { viewer } = await serveStore(t, requests, viewerRoutes());
  for (const path of ['/', `/trace/${traceB}?span=1111111111111111`]) {
    const dom = await dumpDom(browser, `${viewer}${path}`);
    assert.doesNotMatch(dom, /<title>HACKED/);
    assert.doesNotMatch(dom, /<img src="x"/);
    assert.equal([...dom.matchAll(/<script/g)].length, 1, 'the page’s own script only');
    const expected = path === '/' ? ['service', 'operation'] : ['service', 'operation', 'key', 'event', 'field'];
    for (const place of expected) assert.ok(dom.includes(`${place} ${escaped}`), `${place} in ${path}`);
  }
});

test('an unknown trace and an empty store say so', options, async (t) => {
  const { viewer } = await serveStore(t, [], viewerRoutes());
  assert.match(await dumpDom(browser, `${viewer}/trace/${traceA}`), /No such trace<\/h1><p>trace not found/);
  assert.match(await dumpDom(browser, `${viewer}/`), /No traces yet<\/h1>/);
});
