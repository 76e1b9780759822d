import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from '../../../src/formats/otlp/decode.ts';
import { encodeRequest } from '../../../src/formats/otlp/encode.ts';
import { walk } from '../../../src/formats/otlp/walk.ts';
import { decodeByOracle, encodeByOracle } from './oracle.ts';
import { fullSpan, plainSpan, requestOf, text } from './samples.ts';

const request = {
  resourceSpans: [
    ...(requestOf([fullSpan, plainSpan(1)]).resourceSpans as object[]),
    {
      resource: { attributes: [text('service.name', 'b')] },
      schemaUrl: 'https://example.com/r',
      scopeSpans: [
        {
          scope: { name: 's', version: '2', attributes: [text('k', 'v')] },
          schemaUrl: 'https://example.com/s',
          spans: [plainSpan(2)],
        },
      ],
    },
  ],
};

test('what is encoded another decoder reads as it was', () => {
  const bytes = encodeByOracle(request);
  const encoded = encodeRequest(decodeRequest(bytes));
  assert.deepEqual(decodeByOracle(encoded), decodeByOracle(bytes));
  assert.deepEqual(decodeRequest(encoded), decodeRequest(bytes));
});

test('what is encoded passes the walk', () => {
  const encoded = encodeRequest(decodeRequest(encodeByOracle(request)));
  const result = walk(encoded);
  assert.equal(result.kind, 'walked');
  assert.deepEqual([result.bytes, result.acceptedSpans, result.rejectedSpans], [encoded, 3, 0]);
});

test('empty strings, false, 0 and 0.0 as attribute values stay values', () => {
  const attributes = [
    { key: 's', value: { kind: 'string', value: '' } },
    { key: 'b', value: { kind: 'bool', value: false } },
    { key: 'i', value: { kind: 'int', value: 0n } },
    { key: 'd', value: { kind: 'double', value: 0 } },
    { key: 'e', value: { kind: 'empty' } },
    { key: 'x', value: { kind: 'bytes', value: new Uint8Array() } },
    { key: 'a', value: { kind: 'array', values: [] } },
    { key: 'k', value: { kind: 'kvlist', values: [] } },
  ] as const;
  const encoded = encodeRequest([{ resource: attributes, schemaUrl: '', scopeSpans: [] }]);
  assert.deepEqual(decodeRequest(encoded)[0]?.resource, attributes);
});
