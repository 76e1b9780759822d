import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from '../../../src/formats/otlp/decode.ts';
import { walkJson } from '../../../src/formats/otlp/json-decode.ts';
import { requestToJson } from '../../../src/formats/otlp/json-encode.ts';
import type { Walked } from '../../../src/formats/otlp/walk.ts';
import { decodeByOracle, encodeByOracle, type Json } from './oracle.ts';
import { fullSpan, plainSpan, requestOf, traceId } from './samples.ts';

function read(body: unknown): Walked {
  const result = walkJson(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
  if (result.kind !== 'walked') throw new Error(`malformed: ${result.reason}`);
  return result;
}

const span = { traceId: '0AF7651916CD43DD8448EB211C80319C', spanId: 'b7ad6b7169203331', name: 'GET /' };
const around = (spans: unknown[], scope: Json = {}): Json => ({
  resourceSpans: [{ scopeSpans: [{ ...scope, spans }] }],
});

function firstSpan(body: unknown) {
  const result = read(body);
  const decoded = decodeRequest(result.bytes)[0]?.scopeSpans[0]?.spans[0];
  assert.ok(decoded, result.reason);
  return decoded;
}

test('what we write as JSON reads back as the same bytes another decoder knows', () => {
  const bytes = encodeByOracle(requestOf([fullSpan, plainSpan(1, { status: { code: 1 } })]));
  const body = JSON.stringify(requestToJson(decodeRequest(bytes)));
  const result = read(body);
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans, result.reason], [2, 0, '']);
  assert.deepEqual(decodeByOracle(result.bytes), decodeByOracle(bytes));
});

test('JSON out follows the mapping: hex ids, decimal text, numeric enums, no defaults but status', () => {
  const [resourceSpans] = requestToJson(
    decodeRequest(encodeByOracle(requestOf([fullSpan, plainSpan(1, { attributes: [] })]))),
  ).resourceSpans;
  const { spans } = (resourceSpans!.scopeSpans as { spans: Json[] }[])[0]!;
  assert.deepEqual(spans[1], {
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: '0000000000000002',
    name: 'GET /items/1',
    kind: 2,
    startTimeUnixNano: '1763735725123456789',
    endTimeUnixNano: '1763735725623456999',
    status: {},
  });
  assert.deepEqual(spans[0]?.status, { message: 'card declined', code: 2 });
  assert.deepEqual((spans[0]!.attributes as Json[]).slice(1, 7), [
    { key: 'flag', value: { boolValue: true } },
    { key: 'negative', value: { intValue: '-9007199254740993' } },
    { key: 'large', value: { intValue: '9223372036854775807' } },
    { key: 'ratio', value: { doubleValue: -0.125 } },
    { key: 'raw', value: { bytesValue: 'AP8Q' } },
    { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }, { intValue: '2' }, {}] } } },
  ]);
});

test('a test command with the old list name and bare nanoseconds is stored as it means', () => {
  const body = `{
    "resourceSpans": [ {
      "resource": { "attributes": [ { "key": "service.name", "value": { "stringValue": "probe" } } ] },
      "instrumentationLibrarySpans": [ { "instrumentationLibrary": { "name": "hand", "version": "1" }, "spans": [ {
        "traceId": "fedcba0987654321fedcba0987654321", "spanId": "fedcba0987654321", "name": "by hand", "kind": 1,
        "startTimeUnixNano": 1763735725123456789,
        "endTimeUnixNano": 1763735725123456791
      } ] } ]
    } ]
  }`;
  const result = read(body);
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans, result.reason], [1, 0, '']);
  const [resourceSpans] = decodeRequest(result.bytes);
  assert.deepEqual(resourceSpans?.resource, [{ key: 'service.name', value: { kind: 'string', value: 'probe' } }]);
  assert.deepEqual(resourceSpans?.scopeSpans[0]?.scope, { name: 'hand', version: '1', attributes: [] });
  const decoded = resourceSpans?.scopeSpans[0]?.spans[0];
  assert.equal(decoded?.startTimeUnixNano, 1763735725123456789n);
  assert.equal(decoded?.endTimeUnixNano, 1763735725123456791n);
  assert.equal(decoded?.kind, 1);
});

test('integers are read without loss as number and as text, in every place', () => {
  for (const written of ['9223372036854775807', '"9223372036854775807"', ' 9223372036854775807 ']) {
    const body = `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${span.traceId}","spanId":"${span.spanId}","attributes":[{"key":"n","value":{"intValue":${written}}}]}]}]}]}`;
    assert.deepEqual(firstSpan(body).attributes, [{ key: 'n', value: { kind: 'int', value: 9223372036854775807n } }]);
  }
});

test('digits inside strings, in fractions and exponents are left alone', () => {
  const value = 'id: 12345678901234567890, next: 1763735725123456789}';
  const body = JSON.stringify(
    around([{ ...span, name: value, attributes: [{ key: '\\', value: { stringValue: '",1234567890123456789' } }] }]),
  ).replace(
    '"attributes":[',
    '"startTimeUnixNano":1763735725123456789,"attributes":[{"key":"f","value":{"doubleValue":0.12345678901234567890}},{"key":"g","value":{"doubleValue":12345678901234567890}},',
  );
  const decoded = firstSpan(body);
  assert.equal(decoded.name, value);
  assert.deepEqual(
    decoded.attributes.map((attribute) => attribute.value),
    [
      { kind: 'double', value: 0.12345678901234568 },
      { kind: 'double', value: Number('12345678901234567890') },
      { kind: 'string', value: '",1234567890123456789' },
    ],
  );
  assert.equal(decoded.startTimeUnixNano, 1763735725123456789n);
});

test('snake_case names, enum names, either case of hex, nulls and unknown names are taken', () => {
  const decoded = firstSpan({
    resource_spans: [
      {
        scope_spans: [
          {
            spans: [
              {
                trace_id: span.traceId,
                span_id: 'B7AD6B7169203331',
                parent_span_id: null,
                start_time_unix_nano: '5',
                kind: 'SPAN_KIND_CLIENT',
                status: { code: 'STATUS_CODE_ERROR' },
                dropped_events_count: '7',
                flags: '257',
                hue: { deeply: ['unknown'] },
              },
            ],
          },
        ],
      },
    ],
  });
  assert.equal(decoded.traceId, traceId.toString('hex'));
  assert.equal(decoded.spanId, 'b7ad6b7169203331');
  assert.deepEqual([decoded.kind, decoded.statusCode, decoded.droppedEventsCount, decoded.flags], [3, 2, 7, 257]);
  assert.equal(decoded.startTimeUnixNano, 5n);
});

test('doubles may be NaN and infinite', () => {
  const values = ['NaN', 'Infinity', '-Infinity', 1.5];
  const attributes = values.map((value, index) => ({ key: String(index), value: { doubleValue: value } }));
  assert.deepEqual(
    firstSpan(around([{ ...span, attributes }])).attributes.map(({ value }) => value),
    [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.5].map((value) => ({ kind: 'double', value })),
  );
});

const misfits: readonly (readonly [string, Json, RegExp])[] = [
  ['a short span id', { spanId: 'b7ad6b71692033' }, /span_id of 7 bytes, not 8/],
  ['an id that is not hex', { spanId: 'xyz!567890123456' }, /spans: spanId is not hex/],
  ['an id of odd length', { spanId: 'b7ad6b716920333' }, /spans: spanId is not hex/],
  ['a zero trace id', { traceId: '0'.repeat(32) }, /trace_id is all zero/],
  ['no trace id', { traceId: null }, /no trace_id/],
  ['a name that is no text', { name: 7 }, /spans: name is not a string/],
  ['a time before 1970', { startTimeUnixNano: '-1' }, /startTimeUnixNano is not an integer from 0/],
  ['a time with a fraction', { startTimeUnixNano: 1.5 }, /startTimeUnixNano is not an integer/],
  [
    'a time beyond 64 bits',
    { startTimeUnixNano: '18446744073709551616' },
    /startTimeUnixNano is not an integer from 0/,
  ],
  ['attributes that are no list', { attributes: { key: 'a' } }, /attributes is not an array/],
  ['an unknown kind name', { kind: 'SERVERISH' }, /kind is not an integer/],
  [
    'a bool that is text',
    { attributes: [{ key: 'a', value: { boolValue: 'yes' } }] },
    /boolValue is not true or false/,
  ],
  ['bytes that are not base64', { attributes: [{ key: 'a', value: { bytesValue: '*' } }] }, /bytesValue is not base64/],
];

for (const [name, fields, reason] of misfits) {
  test(`a span with ${name} is refused alone`, () => {
    const result = read(around([span, { ...span, ...fields }, { ...span, name: 'last' }]));
    assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [2, 1]);
    assert.match(result.reason, reason);
    assert.deepEqual(
      decodeRequest(result.bytes)[0]?.scopeSpans[0]?.spans.map((good) => good.name),
      ['GET /', 'last'],
    );
  });
}

test('a span that is no object, and values nested without end, cost one span', () => {
  let value: Json = { intValue: 1 };
  for (let level = 0; level < 60; level++) value = { arrayValue: { values: [value] } };
  const result = read(around([span, 'text', { ...span, attributes: [{ key: 'deep', value }] }]));
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [1, 2]);
});

test('a fault in a scope or a resource costs the spans under it', () => {
  const good = { scopeSpans: [{ spans: [span] }] };
  const badScope = { scopeSpans: [{ spans: [span, { ...span, name: 1 }], scope: { name: 5 } }, { spans: [span] }] };
  const badResource = { scopeSpans: [{ spans: [span] }, { spans: [span, span] }], resource: { attributes: 'none' } };
  const result = read({ resourceSpans: [good, badScope, badResource, good] });
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [3, 5]);
  assert.equal(decodeRequest(result.bytes).length, 3);
});

test('what is no JSON, no UTF-8 or no request is malformed', () => {
  for (const body of ['', '{', '[]', '"x"', '7', 'null', '{"resourceSpans":{}}', '{"resourceSpans":[1,2}']) {
    assert.equal(walkJson(Buffer.from(body)).kind, 'malformed', body);
  }
  assert.equal(walkJson(Buffer.from([0x7b, 0xff, 0x7d])).kind, 'malformed');
});

test('a request without spans is good', () => {
  for (const body of ['{}', '{"resourceSpans":[]}', '{"resourceSpans":null}', ' {"unknown": 1} ']) {
    assert.equal(read(body).acceptedSpans, 0);
  }
});
