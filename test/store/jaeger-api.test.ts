import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nowUs, request, traceA, traceB } from './requests.ts';
import { getJson, serveStore } from './store-server.ts';

const traceC = 'cccccccccccccccccccccccccccccccc';
const short = '00000000000000000000000000001234';

/** Three traces: A the newest and slow and failed, B a little older, C of another service and a day old. */
const requests = [
  request('shop', {
    traceId: traceB,
    atUs: -2_000_000,
    durationUs: 5_000,
    name: 'GET /',
    kind: 2,
    tags: { code: 200 },
  }),
  request(
    'shop',
    { traceId: traceA, atUs: -1_000_000, durationUs: 90_000, name: 'POST /buy', kind: 2, tags: { code: 503 } },
    { traceId: traceA, spanId: '22'.repeat(8), parentSpanId: '11'.repeat(8), name: 'pay', kind: 3, statusCode: 2 },
  ),
  request('billing', { traceId: traceC, atUs: -86_400_000_000, name: 'GET /', kind: 2, tags: { code: 200 } }),
  request('old', { traceId: short, atUs: -30 * 86_400_000_000, name: 'x' }),
];

test('services and operations are listed as Jaeger lists them', async (t) => {
  const { viewer } = await serveStore(t, requests);
  assert.deepEqual(await getJson(`${viewer}/api/services`), {
    status: 200,
    body: { data: ['billing', 'old', 'shop'], total: 3, limit: 0, offset: 0, errors: null },
  });
  const names = await getJson(`${viewer}/api/services/shop/operations`);
  assert.deepEqual(names.body.data, ['GET /', 'POST /buy', 'pay']);
  const all = await getJson(`${viewer}/api/operations?service=shop`);
  assert.deepEqual(all.body.data, [
    { name: 'GET /', spanKind: 'server' },
    { name: 'POST /buy', spanKind: 'server' },
    { name: 'pay', spanKind: 'client' },
  ]);
  const clients = await getJson(`${viewer}/api/operations?service=shop&spanKind=client`);
  assert.deepEqual(clients.body.data, [{ name: 'pay', spanKind: 'client' }]);
  const none = await getJson(`${viewer}/api/services/none/operations`);
  assert.deepEqual(none.body, { data: null, total: 0, limit: 0, offset: 0, errors: null });
});

test('a search gives the matching traces, newest first', async (t) => {
  const { viewer } = await serveStore(t, requests);
  const found = async (query: string) => {
    const { status, body } = await getJson(`${viewer}/api/traces?${query}`);
    assert.equal(status, 200, `${query}: ${JSON.stringify(body.errors)}`);
    return body.data.map((trace: { traceID: string }) => trace.traceID[0]);
  };
  const cases: [string, string[]][] = [
    ['service=shop', ['a', 'b']],
    ['service=shop&limit=1', ['a']],
    ['service=billing', ['c']],
    ['service=billing&lookback=1h', []],
    ['service=billing&lookback=custom', ['c']],
    ['service=nobody', []],
    ['service=*', ['a', 'b', 'c']],
    [`service=*&start=0&end=${nowUs}`, ['a', 'b', 'c', '0']],
    ['service=old', []],
    [`service=shop&start=${nowUs - 2_000_000}&end=${nowUs - 1_500_000}`, ['b']],
    ['service=shop&operation=pay', ['a']],
    ['service=shop&spanKind=client', ['a']],
    ['service=shop&minDuration=50ms', ['a']],
    ['service=shop&minDuration=90ms&maxDuration=90ms', ['a']],
    ['service=shop&maxDuration=5.5ms', ['a', 'b']],
    ['service=shop&operation=POST%20/buy&maxDuration=50ms', []],
    ['service=shop&tag=code:200', ['b']],
    ['service=shop&tag=code:200&tag=code2:1', []],
    [`service=shop&tags=${encodeURIComponent('{"error":"true"}')}`, ['a']],
    [`service=shop&tags=${encodeURIComponent('{"error":true}')}`, ['a']],
    [`service=shop&tags=${encodeURIComponent('{"otel.status_code":"ERROR","span.kind":"client"}')}`, ['a']],
    [`service=shop&tags=${encodeURIComponent('{"host.name":"node-1","code":"503"}')}`, ['a']],
    // The error is on another span than the code: both must hold for one.
    [`service=shop&tags=${encodeURIComponent('{"error":"true","code":"503"}')}`, []],
    [`traceID=${traceC}&traceID=1234`, ['c', '0']],
  ];
  for (const [query, expected] of cases) assert.deepEqual(await found(query), expected, query);
});

test('one trace is found by its id in any length and case', async (t) => {
  const { viewer } = await serveStore(t, requests);
  for (const id of [short, '1234', '0000000000001234']) {
    const { body } = await getJson(`${viewer}/api/traces/${id}`);
    assert.deepEqual([body.data.length, body.data[0].traceID, body.total], [1, '0000000000001234', 0]);
  }
  const { body } = await getJson(`${viewer}/api/traces/${traceA.toUpperCase()}`);
  assert.deepEqual(
    body.data[0].spans.map((span: { operationName: string }) => span.operationName),
    ['POST /buy', 'pay'],
  );
  const pretty = await fetch(`${viewer}/api/traces/1234?prettyPrint=true`);
  assert.match(await pretty.text(), /^\{\n {4}"data": \[\n/);
  assert.equal(pretty.headers.get('content-type'), 'application/json');
});

test('an unknown trace is 404; among several it is named in errors', async (t) => {
  const { viewer } = await serveStore(t, requests);
  const unknown = '1'.repeat(32);
  assert.deepEqual(await getJson(`${viewer}/api/traces/${unknown}`), {
    status: 404,
    body: { data: null, total: 0, limit: 0, offset: 0, errors: [{ code: 404, msg: 'trace not found' }] },
  });
  const several = await getJson(`${viewer}/api/traces?traceID=${traceA}&traceID=${unknown}`);
  assert.equal(several.status, 200);
  assert.equal(several.body.data.length, 1);
  assert.deepEqual(several.body.errors, [{ msg: 'trace not found', traceID: unknown }]);
});

test('unusable parameters are 400 with the reason', async (t) => {
  const { viewer } = await serveStore(t, requests);
  const cases: [string, RegExp][] = [
    ['/api/traces', /^parameter 'service' is required$/],
    ['/api/operations', /^parameter 'service' is required$/],
    ['/api/traces?service=shop&start=x', /^unable to parse param 'start'/],
    ['/api/traces?service=shop&end=1.5', /^unable to parse param 'end'/],
    ['/api/traces?service=shop&limit=x', /'limit'/],
    ['/api/traces?service=shop&limit=0', /greater than 0/],
    ['/api/traces?service=shop&minDuration=x', /^unable to parse param 'minDuration'/],
    ['/api/traces?service=shop&maxDuration=5', /^unable to parse param 'maxDuration'/],
    [
      '/api/traces?service=shop&minDuration=5ms&maxDuration=1ms',
      /^'maxDuration' should be greater than 'minDuration'$/,
    ],
    ['/api/traces?service=shop&tag=foo', /^malformed 'tag' parameter, expecting key:value, received: foo$/],
    ['/api/traces?service=shop&tags=foo', /^malformed 'tags' parameter/],
    ['/api/traces?service=shop&tags=[1]', /^malformed 'tags' parameter/],
    ['/api/traces?service=shop&tags={"a":{}}', /^malformed 'tags' parameter, "a" must be a string$/],
    ['/api/traces?traceID=zz', /"zz" is not a trace id/],
    ['/api/traces/xyz', /"xyz" is not a trace id/],
    [`/api/traces/${'1'.repeat(33)}`, /is not a trace id/],
    [`/api/traces/${traceA}?start=x`, /^unable to parse param 'start'/],
  ];
  for (const [path, message] of cases) {
    const { status, body } = await getJson(`${viewer}${path}`);
    assert.equal(status, 400, path);
    assert.deepEqual([body.data, body.errors.length, body.errors[0].code], [null, 1, 400]);
    assert.match(body.errors[0].msg, message, path);
  }
});

test('v3 gives services, operations and OTLP JSON', async (t) => {
  const { viewer } = await serveStore(t, requests);
  assert.deepEqual((await getJson(`${viewer}/api/v3/services`)).body, { services: ['billing', 'old', 'shop'] });
  const clients = await getJson(`${viewer}/api/v3/operations?service=shop&span_kind=client`);
  assert.deepEqual(clients.body, { operations: [{ name: 'pay', spanKind: 'client' }] });
  const { status, body } = await getJson(`${viewer}/api/v3/traces/${traceA}`);
  assert.equal(status, 200);
  const [resourceSpans] = body.result.resourceSpans;
  assert.deepEqual(resourceSpans.resource.attributes[0], { key: 'service.name', value: { stringValue: 'shop' } });
  assert.deepEqual(resourceSpans.scopeSpans[0].scope, { name: 'lib', version: '1.2' });
  assert.deepEqual(resourceSpans.scopeSpans[0].spans[0], {
    traceId: traceA,
    spanId: '1111111111111111',
    name: 'POST /buy',
    kind: 2,
    startTimeUnixNano: `${nowUs - 1_000_000}000`,
    endTimeUnixNano: `${nowUs - 910_000}000`,
    attributes: [{ key: 'code', value: { intValue: '503' } }],
    status: {},
  });
});

test('v3 search takes both spellings, and answers 400 and 404 in its own shape', async (t) => {
  const { viewer } = await serveStore(t, requests);
  const min = new Date(nowUs / 1000 - 1500).toISOString();
  const max = new Date(nowUs / 1000 + 60_000).toISOString();
  const window = `query.startTimeMin=${min}&query.startTimeMax=${max}`;
  const names = async (query: string) => {
    const { body } = await getJson(`${viewer}/api/v3/traces?${query}`);
    return body.result.resourceSpans.flatMap((resource: { scopeSpans: { spans: { name: string }[] }[] }) =>
      resource.scopeSpans.flatMap((scope) => scope.spans.map((span) => span.name)),
    );
  };
  assert.deepEqual(await names(`${window}&query.serviceName=shop`), ['POST /buy', 'pay']);
  const snake = window.replaceAll('startTimeM', 'start_time_m');
  assert.deepEqual(await names(`${snake}&query.service_name=shop&query.num_traces=5`), ['POST /buy', 'pay']);
  assert.deepEqual(await getJson(`${viewer}/api/v3/traces?${window}&query.serviceName=nobody`), {
    status: 404,
    body: { error: { httpCode: 404, message: 'No traces found' } },
  });
  const bad: [string, RegExp][] = [
    ['', /startTimeMin and query.startTimeMax are required/],
    [`?${window.replace(min, 'x')}`, /query.startTimeMin: "x" is not a time/],
    [`?${window}&query.searchDepth=x`, /query.searchDepth/],
    [`?${window}&query.durationMin=x`, /query.durationMin/],
    ['/zz', /"zz" is not a trace id/],
  ];
  for (const [rest, message] of bad) {
    const { status, body } = await getJson(`${viewer}/api/v3/traces${rest}`);
    assert.deepEqual([status, body.error.httpCode], [400, 400], rest);
    assert.match(body.error.message, message);
  }
});
