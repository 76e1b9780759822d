import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributes, nowUs, request, traceA, traceB } from './requests.ts';
import { getJson, getText, serveStore } from './store-server.ts';

const short = '00000000000000000000000000001234';
const endTs = Math.floor(nowUs / 1000) + 1000;

const requests = [
  request(
    'Shop',
    {
      atUs: -1_000_000,
      durationUs: 90_000,
      name: 'POST /Buy',
      kind: 2,
      tags: { code: 503 },
      events: [
        { timeUnixNano: BigInt(nowUs) * 1000n, name: 'miss', attributes: attributes({}), droppedAttributesCount: 0 },
      ],
    },
    {
      spanId: '22'.repeat(8),
      parentSpanId: '11'.repeat(8),
      atUs: -990_000,
      durationUs: 50,
      name: 'pay',
      kind: 3,
      statusCode: 2,
      statusMessage: 'boom',
      tags: { 'peer.service': 'Billing' },
    },
  ),
  request('shop', { traceId: traceB, atUs: -2_000_000, durationUs: 5_000, name: 'GET /', kind: 2 }),
  request('old', { traceId: short, atUs: -2 * 86_400_000_000, name: 'x' }),
];

test('a trace is the v2 JSON a Zipkin server would give back', async (t) => {
  const { zipkinApi } = await serveStore(t, requests);
  const common = { 'host.name': 'node-1' };
  const scope = {
    'otel.library.name': 'lib',
    'otel.library.version': '1.2',
    'otel.scope.name': 'lib',
    'otel.scope.version': '1.2',
  };
  assert.deepEqual(await getJson(`${zipkinApi}/api/v2/trace/${traceA}`), {
    status: 200,
    body: [
      {
        traceId: traceA,
        id: '1111111111111111',
        kind: 'SERVER',
        name: 'post /buy',
        timestamp: nowUs - 1_000_000,
        duration: 90_000,
        localEndpoint: { serviceName: 'shop' },
        annotations: [{ timestamp: nowUs, value: 'miss' }],
        tags: { code: '503', ...common, ...scope },
      },
      {
        traceId: traceA,
        parentId: '1111111111111111',
        id: '2222222222222222',
        kind: 'CLIENT',
        name: 'pay',
        timestamp: nowUs - 990_000,
        duration: 50,
        localEndpoint: { serviceName: 'shop' },
        remoteEndpoint: { serviceName: 'billing' },
        tags: { error: 'boom', ...common, ...scope, 'otel.status_code': 'ERROR', 'peer.service': 'Billing' },
      },
    ],
  });
});

test('trace ids of 64 bits are found with and without the zeros before them', async (t) => {
  const { zipkinApi } = await serveStore(t, requests);
  for (const id of ['1234', '0000000000001234', short]) {
    const { body } = await getJson(`${zipkinApi}/api/v2/trace/${id}`);
    assert.deepEqual([body.length, body[0].traceId], [1, '0000000000001234']);
  }
});

test('services and span names come sorted, once, in lower case', async (t) => {
  const { zipkinApi } = await serveStore(t, requests);
  assert.deepEqual((await getJson(`${zipkinApi}/api/v2/services`)).body, ['old', 'shop']);
  const names = await getJson(`${zipkinApi}/api/v2/spans?serviceName=SHOP`);
  assert.deepEqual(names.body, ['get /', 'pay', 'post /buy']);
  assert.deepEqual((await getJson(`${zipkinApi}/api/v2/spans?serviceName=none`)).body, []);
  assert.equal((await getJson(`${zipkinApi}/health`)).body.status, 'UP');
});

test('a search gives the matching traces, newest first', async (t) => {
  const { zipkinApi } = await serveStore(t, requests);
  const cases: [string, string[]][] = [
    ['', ['a', 'b']],
    ['serviceName=shop', ['a', 'b']],
    ['serviceName=SHOP&limit=1', ['a']],
    ['serviceName=nobody', []],
    ['lookback=2500', ['a']],
    [`lookback=${7 * 86_400_000}`, ['a', 'b', '0']],
    [`endTs=${Math.floor(nowUs / 1000) - 1500}`, ['b']],
    ['spanName=all', ['a', 'b']],
    ['serviceName=shop&spanName=PAY', ['a']],
    ['remoteServiceName=billing', ['a']],
    ['minDuration=50000', ['a']],
    ['minDuration=40&maxDuration=60', ['a']],
    ['minDuration=5000&maxDuration=6000', ['b']],
    ['annotationQuery=error', ['a']],
    ['annotationQuery=miss', ['a']],
    ['annotationQuery=code%3D503+and+error%3Dboom+and+miss', ['a']],
    ['annotationQuery=code%3D500', []],
    ['annotationQuery=constructor', []],
  ];
  for (const [query, expected] of cases) {
    const withEnd = query.includes('endTs') ? query : `endTs=${endTs}&${query}`;
    const { status, body } = await getJson(`${zipkinApi}/api/v2/traces?${withEnd}`);
    assert.equal(status, 200, query);
    const ids = body.map((trace: { traceId: string }[]) => trace[0]?.traceId[0]);
    assert.deepEqual(ids, expected, query);
  }
});

test('errors are those of Zipkin: text, 404 for an unknown trace, 400 for a bad parameter', async (t) => {
  const { zipkinApi } = await serveStore(t, requests);
  const cases: [string, number, string][] = [
    ['/api/v2/trace/abcd', 404, '000000000000abcd not found'],
    [`/api/v2/trace/${'1'.repeat(32)}`, 404, `${'1'.repeat(32)} not found`],
    ['/api/v2/trace/zz', 400, 'zz should be lower-hex encoded with no prefix'],
    ['/api/v2/trace/AB', 400, 'AB should be lower-hex encoded with no prefix'],
    ['/api/v2/trace/0', 400, 'traceId is all zeros'],
    [`/api/v2/trace/${'1'.repeat(33)}`, 400, 'traceId.length > 32'],
    ['/api/v2/spans', 400, 'Mandatory parameter/header/attribute is missing: serviceName'],
    ['/api/v2/traces?limit=0', 400, 'limit <= 0'],
    ['/api/v2/traces?endTs=-5', 400, 'endTs <= 0'],
    ['/api/v2/traces?lookback=x', 400, 'lookback: "x" is not a whole number'],
    ['/api/v2/traces?minDuration=0', 400, 'minDuration <= 0'],
    ['/api/v2/traces?maxDuration=1', 400, 'maxDuration is only valid with minDuration'],
    ['/api/v2/traces?minDuration=5&maxDuration=1', 400, 'maxDuration < minDuration'],
  ];
  for (const [path, status, body] of cases)
    assert.deepEqual(await getText(`${zipkinApi}${path}`), { status, body }, path);
});
