import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from '../../../src/formats/otlp/decode.ts';
import type { ResourceSpans } from '../../../src/formats/otlp/span.ts';
import { ProtobufError } from '../../../src/wire/protobuf-reader.ts';
import { encodeByOracle } from './oracle.ts';
import { fullSpan, plainSpan, requestOf, requestWithNestedArrays, text } from './samples.ts';

const string = (key: string, value: string) => ({ key, value: { kind: 'string', value } }) as const;

test('every field of a span comes out of the bytes another encoder made', () => {
  const request = requestOf([fullSpan]);
  const [resourceSpans] = decodeRequest(encodeByOracle(request));
  const expected: ResourceSpans = {
    resource: [string('service.name', 'shop')],
    schemaUrl: '',
    scopeSpans: [
      {
        scope: { name: 'tests', version: '', attributes: [] },
        schemaUrl: '',
        spans: [
          {
            traceId: '0af7651916cd43dd8448eb211c80319c',
            spanId: '0000000000000029',
            parentSpanId: '0000000000000028',
            traceState: 'congo=t61rcWkgMzE',
            flags: 0x301,
            name: 'größe 🚗',
            kind: 3,
            startTimeUnixNano: 1763735725123456789n,
            endTimeUnixNano: 1763735725623456999n,
            attributes: [
              string('plain', 'value'),
              { key: 'flag', value: { kind: 'bool', value: true } },
              { key: 'negative', value: { kind: 'int', value: -9007199254740993n } },
              { key: 'large', value: { kind: 'int', value: 9223372036854775807n } },
              { key: 'ratio', value: { kind: 'double', value: -0.125 } },
              { key: 'raw', value: { kind: 'bytes', value: new Uint8Array([0, 255, 16]) } },
              {
                key: 'list',
                value: {
                  kind: 'array',
                  values: [{ kind: 'string', value: 'a' }, { kind: 'int', value: 2n }, { kind: 'empty' }],
                },
              },
              { key: 'map', value: { kind: 'kvlist', values: [string('inner', 'x')] } },
              { key: 'nothing', value: { kind: 'empty' } },
            ],
            droppedAttributesCount: 4,
            events: [
              {
                timeUnixNano: 1763735725623456999n,
                name: 'miss',
                attributes: [string('cache', 'l2')],
                droppedAttributesCount: 1,
              },
            ],
            droppedEventsCount: 5,
            links: [
              {
                traceId: '0af7651916cd43dd8448eb211c80319c',
                spanId: '0000000000000008',
                traceState: 'a=b',
                attributes: [string('why', 'retry')],
                droppedAttributesCount: 2,
                flags: 1,
              },
            ],
            droppedLinksCount: 6,
            statusCode: 2,
            statusMessage: 'card declined',
          },
        ],
      },
    ],
  };
  assert.deepEqual(resourceSpans, expected);
});

test('resources, scopes and spans keep their order and their schema urls', () => {
  const bytes = encodeByOracle({
    resourceSpans: [
      {
        resource: { attributes: [text('service.name', 'a')] },
        schemaUrl: 'https://example.com/1',
        scopeSpans: [
          {
            scope: { name: 'one', version: '1.0', attributes: [text('k', 'v')] },
            schemaUrl: 'https://example.com/2',
            spans: [plainSpan(0), plainSpan(1)],
          },
          { scope: { name: 'two' }, spans: [plainSpan(2)] },
        ],
      },
      { resource: { attributes: [text('service.name', 'b')] }, scopeSpans: [{ spans: [plainSpan(3)] }] },
    ],
  });
  const decoded = decodeRequest(bytes);
  assert.deepEqual(
    decoded.map(({ schemaUrl, scopeSpans }) => [
      schemaUrl,
      scopeSpans.map(({ scope, schemaUrl, spans }) => [scope.name, schemaUrl, spans.map((span) => span.name)]),
    ]),
    [
      [
        'https://example.com/1',
        [
          ['one', 'https://example.com/2', ['GET /items/0', 'GET /items/1']],
          ['two', '', ['GET /items/2']],
        ],
      ],
      ['', [['', '', ['GET /items/3']]]],
    ],
  );
  assert.deepEqual(decoded[0]?.scopeSpans[0]?.scope.attributes, [string('k', 'v')]);
});

test('an all-zero parent id reads as none, an unknown kind and status code as 0', () => {
  const span = plainSpan(0, { parentSpanId: Buffer.alloc(8), kind: 17, status: { code: 9 } });
  const decoded = decodeRequest(encodeByOracle(requestOf([span])))[0]?.scopeSpans[0]?.spans[0];
  assert.equal(decoded?.parentSpanId, '');
  assert.equal(decoded?.kind, 0);
  assert.equal(decoded?.statusCode, 0);
});

test('the old field 1000 stands in for scope_spans, and only when there are none', () => {
  const old = { spans: [plainSpan(1)] };
  const alone = decodeRequest(encodeByOracle({ resourceSpans: [{ instrumentationLibrarySpans: [old] }] }));
  assert.deepEqual(
    alone[0]?.scopeSpans.map(({ spans }) => spans[0]?.name),
    ['GET /items/1'],
  );
  const both = encodeByOracle({
    resourceSpans: [{ scopeSpans: [{ spans: [plainSpan(0)] }], instrumentationLibrarySpans: [old] }],
  });
  assert.deepEqual(
    decodeRequest(both)[0]?.scopeSpans.map(({ spans }) => spans[0]?.name),
    ['GET /items/0'],
  );
});

test('unknown fields of every wire type are passed over', () => {
  const unknown = Buffer.from([
    0xf8, 0x01, 0x05, 0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 0xfa, 0x01, 0x02, 9, 9, 0xfd, 0x01, 1, 2, 3, 4,
  ]);
  const group = Buffer.from([0xfb, 0x01, 0x08, 0x07, 0xfc, 0x01]);
  const bytes = Buffer.concat([unknown, encodeByOracle(requestOf([plainSpan(0)])), group]);
  assert.equal(decodeRequest(bytes)[0]?.scopeSpans[0]?.spans.length, 1);
});

test('a request cut at any byte either decodes to whole resources or is an error, and never hangs', () => {
  const one = encodeByOracle(requestOf([plainSpan(0)]));
  const bytes = Buffer.concat([one, encodeByOracle(requestOf([fullSpan]))]);
  for (let cut = 0; cut < bytes.byteLength; cut++) {
    const part = bytes.subarray(0, cut);
    if (cut === 0 || cut === one.byteLength) assert.equal(decodeRequest(part).length, cut === 0 ? 0 : 1);
    else assert.throws(() => decodeRequest(part), ProtobufError, `cut at ${cut}`);
  }
});

test('values nested deeper than any decoder would follow are an error, not a stack overflow', () => {
  assert.equal(decodeRequest(requestWithNestedArrays(47)).length, 1);
  assert.throws(() => decodeRequest(requestWithNestedArrays(48)), /100 levels of nesting/);
  assert.throws(() => decodeRequest(requestWithNestedArrays(20_000)), /100 levels of nesting/);
});
