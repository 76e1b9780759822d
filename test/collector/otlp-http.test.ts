import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { type CollectorOptions, startCollector } from '../../src/collector/main.ts';
import { createLog } from '../../src/runtime/log.ts';
import { request } from '../contract/support/senders.ts';
import { decodeRpcByOracle, encodeByOracle } from '../formats/otlp/oracle.ts';
import { plainSpan, requestOf } from '../formats/otlp/samples.ts';

const anyPort = { host: '127.0.0.1', port: 0 };
const protobuf = { 'content-type': 'application/x-protobuf' };
const body = encodeByOracle(requestOf([plainSpan(0)]));

async function setUp(t: TestContext, changes: Partial<CollectorOptions> = {}) {
  const stored: Uint8Array[] = [];
  const collector = await startCollector({
    otlpGrpc: anyPort,
    otlpHttp: anyPort,
    metrics: anyPort,
    health: anyPort,
    backends: [],
    sinks: [{ name: 'memory', accept: (bytes) => stored.push(new Uint8Array(bytes)) }],
    log: createLog('test', 'silent'),
    maxRequestBytes: 10_000,
    ...changes,
  });
  t.after(() => collector.close());
  const post = (headers: Record<string, string>, content: Uint8Array = body, path = '/v1/traces', method = 'POST') =>
    request(collector.addresses.otlpHttp.port, { method, path, headers }, content);
  return { stored, post };
}

test('another path is 404, another method 405, and both say what is right', async (t) => {
  const { post, stored } = await setUp(t);
  const elsewhere = await post(protobuf, body, '/v1/metrics');
  assert.equal(elsewhere.status, 404);
  assert.match(elsewhere.body.toString(), /\/v1\/traces/);
  const put = await post(protobuf, body, '/v1/traces', 'PUT');
  assert.deepEqual([put.status, put.headers.allow], [405, 'POST']);
  assert.deepEqual(stored, []);
});

test('another content type or encoding, or none, is 415', async (t) => {
  const { post, stored } = await setUp(t);
  for (const type of ['text/plain', 'application/grpc', 'application/protobuf', 'constructor', '']) {
    assert.equal((await post({ 'content-type': type })).status, 415, type);
  }
  const unknown = await post({ ...protobuf, 'content-encoding': 'br' });
  assert.deepEqual([unknown.status, unknown.headers['accept-encoding']], [415, 'gzip, deflate']);
  assert.equal((await post({ ...protobuf, 'content-encoding': 'constructor' })).status, 415);
  assert.deepEqual(stored, []);
});

test('parameters and letter case of the content type do not matter', async (t) => {
  const { post, stored } = await setUp(t);
  assert.equal((await post({ 'content-type': 'Application/X-Protobuf; charset=utf-8' })).status, 200);
  const json = await post({ 'content-type': 'application/json;charset=UTF-8' }, Buffer.from('{}'));
  assert.deepEqual([json.status, json.body.toString()], [200, '{}']);
  assert.deepEqual(stored, [body]);
});

test('gzip and deflate, with and without its header, are unpacked', async (t) => {
  const { post, stored } = await setUp(t);
  const packed: readonly (readonly [string, Buffer])[] = [
    ['gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['deflate', deflateRawSync(body)],
    ['GZIP', gzipSync(body)],
    ['identity', Buffer.from(body)],
  ];
  for (const [encoding, bytes] of packed) {
    assert.equal((await post({ ...protobuf, 'content-encoding': encoding }, bytes)).status, 200, encoding);
  }
  assert.deepEqual(
    stored,
    packed.map(() => body),
  );
});

test('a body that is not what its encoding says is 400', async (t) => {
  const { post, stored } = await setUp(t);
  for (const [encoding, bytes] of [
    ['gzip', Buffer.from(body)],
    ['gzip', gzipSync(body).subarray(0, 30)],
    ['deflate', Buffer.alloc(0)],
  ] as const) {
    const answer = await post({ ...protobuf, 'content-encoding': encoding }, bytes);
    assert.equal(answer.status, 400);
    assert.match(answer.body.toString(), new RegExp(`the body is not ${encoding}`));
  }
  assert.deepEqual(stored, []);
});

test('a long body is 413 whether its length was announced or not, and the answer is seen', async (t) => {
  const { post, stored } = await setUp(t);
  const long = Buffer.alloc(3_000_000, 1);
  assert.equal((await post({ ...protobuf, 'content-length': String(long.byteLength) }, long)).status, 413);
  assert.equal((await post({ ...protobuf, 'transfer-encoding': 'chunked' }, long)).status, 413);
  assert.deepEqual(stored, []);
});

test('the query of the URL is no part of the path', async (t) => {
  const { post } = await setUp(t);
  assert.equal((await post(protobuf, body, '/v1/traces?token=x')).status, 200);
});

test('when too much is being received at a time the answer is 503 with a delay, and what was held is given back', async (t) => {
  const { post, stored } = await setUp(t, { maxBytesInFlight: body.byteLength });
  for (let round = 0; round < 3; round++) {
    assert.equal((await post(protobuf)).status, 200);
    const refused = await post(protobuf, Buffer.concat([body, body]));
    assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1']);
    assert.deepEqual(decodeRpcByOracle('Status', refused.body), {
      code: 14,
      message: 'too much is being received; send it again',
    });
  }
  assert.deepEqual(stored, [body, body, body]);
});
