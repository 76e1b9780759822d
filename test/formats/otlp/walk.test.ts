import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Walked, walk } from '../../../src/formats/otlp/walk.ts';
import { decodeByOracle, encodeByOracle, type Json } from './oracle.ts';
import { field, fullSpan, idOf, plainSpan, requestOf, requestWithNestedArrays, text, traceId } from './samples.ts';

function walked(bytes: Uint8Array): Walked {
  const result = walk(bytes);
  if (result.kind !== 'walked') throw new Error(`malformed: ${result.reason}`);
  return result;
}

/** The span names per scope per resource, as the independent decoder sees them. */
function names(bytes: Uint8Array): unknown {
  const { resourceSpans } = decodeByOracle(bytes) as { resourceSpans: { scopeSpans: { spans: Json[] }[] }[] };
  return resourceSpans.map(({ scopeSpans }) => scopeSpans.map(({ spans }) => spans.map((span) => span.name)));
}

const five = [0, 1, 2, 3, 4].map((index) => plainSpan(index));
const fiveNames = five.map((span) => span.name);

/** One span's bytes with raw fields behind its good ones. */
function rawSpan(...extra: Uint8Array[]): Uint8Array {
  return Buffer.concat([field(1, traceId), field(2, idOf(9)), ...extra]);
}

function requestOfRawSpan(span: Uint8Array): Uint8Array {
  return field(1, field(2, field(2, span)));
}

test('a good request comes back as the very bytes given', () => {
  const bytes = encodeByOracle(requestOf([...five, fullSpan]));
  const result = walked(bytes);
  assert.equal(result.bytes, bytes);
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans, result.reason], [6, 0, '']);
});

test('an empty request is good and holds nothing', () => {
  assert.deepEqual(walk(new Uint8Array()), {
    kind: 'walked',
    bytes: new Uint8Array(),
    acceptedSpans: 0,
    rejectedSpans: 0,
    reason: '',
  });
});

test('five good spans and one with a 7-byte id: the five survive, the one is named', () => {
  const bad = encodeByOracle(requestOf([plainSpan(5, { spanId: Buffer.alloc(7, 1) })]));
  const bytes = Buffer.concat([
    encodeByOracle(requestOf(five.slice(0, 3))),
    bad,
    encodeByOracle(requestOf(five.slice(3))),
  ]);
  const result = walked(bytes);
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [5, 1]);
  assert.equal(result.reason, 'span 4: span_id of 7 bytes, not 8');
  assert.deepEqual(names(result.bytes), [[fiveNames.slice(0, 3)], [[]], [fiveNames.slice(3)]]);
});

test('a bad span is cut from among its neighbours, and lengths are rewritten through every level', () => {
  // Enough spans that every enclosing length shrinks from three bytes to two.
  const many = Array.from({ length: 200 }, (_, index) => plainSpan(index, { name: 'x'.repeat(60) }));
  const bad = plainSpan(900, { traceId: Buffer.alloc(16), name: 'y'.repeat(16_000) });
  const result = walked(encodeByOracle(requestOf([...many.slice(0, 50), bad, ...many.slice(50)])));
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [200, 1]);
  assert.equal(result.reason, 'span 51: trace_id is all zero');
  assert.deepEqual(decodeByOracle(result.bytes), decodeByOracle(encodeByOracle(requestOf(many))));
});

const badSpans: Readonly<Record<string, Uint8Array>> = {
  'no trace_id': field(2, idOf(1)),
  'no span_id': field(1, traceId),
  'trace_id of 15 bytes, not 16': Buffer.concat([field(1, traceId.subarray(1)), field(2, idOf(1))]),
  'trace_id of 0 bytes, not 16': Buffer.concat([field(1, Buffer.alloc(0)), field(2, idOf(1))]),
  'span_id is all zero': Buffer.concat([field(1, traceId), field(2, Buffer.alloc(8))]),
  'parent_span_id of 3 bytes, not 8': rawSpan(field(4, Buffer.alloc(3, 1))),
  "a link's trace_id of 8 bytes, not 16": rawSpan(field(13, field(1, idOf(1)))),
  "a link's span_id of 9 bytes, not 8": rawSpan(field(13, field(2, Buffer.alloc(9, 1)))),
  'a string that is not UTF-8': rawSpan(field(5, Buffer.from([0x61, 0xc3, 0x28]))),
  'field 5 with wire type 0': rawSpan(Buffer.from([0x28, 0x01])),
  'field 7 with wire type 2': rawSpan(field(7, Buffer.alloc(8))),
  'field number 0': rawSpan(Buffer.from([0x02, 0x00])),
  'wire type 6': rawSpan(Buffer.from([0x36, 0x00])),
  'wire type 7': rawSpan(Buffer.from([0x37, 0x00])),
  'a varint of more than 10 bytes': rawSpan(Buffer.from([0x30, ...Array<number>(10).fill(0x80), 0])),
  'a varint of more than 64 bits': rawSpan(Buffer.from([0x30, ...Array<number>(9).fill(0x80), 2])),
  'a length beyond the end of its message': rawSpan(Buffer.from([0x2a, 0x05, 0x61])),
  'cut short': rawSpan(Buffer.from([0x39, 1, 2, 3])),
  'a tag or length of more than 32 bits': rawSpan(Buffer.from([0xb0, 0x80, 0x80, 0x80, 0x10, 1])),
  'a group (wire type 3)': rawSpan(Buffer.from([0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06])),
  'a group (wire type 4)': rawSpan(Buffer.from([0xa4, 0x06])),
};

for (const [fault, span] of Object.entries(badSpans)) {
  test(`a span with ${fault} is refused alone`, () => {
    const good = encodeByOracle(requestOf([five[0]!]));
    const result = walked(Buffer.concat([good, requestOfRawSpan(span), good]));
    assert.deepEqual([result.acceptedSpans, result.rejectedSpans, result.reason], [2, 1, `span 2: ${fault}`]);
    assert.deepEqual(names(result.bytes), [[[fiveNames[0]]], [[]], [[fiveNames[0]]]]);
  });
}

const badStrings: Readonly<Record<string, readonly number[]>> = {
  'a lone continuation byte': [0x80],
  'an overlong slash': [0xc0, 0xaf],
  'a surrogate half': [0xed, 0xa0, 0x80],
  'a code point above 10FFFF': [0xf4, 0x90, 0x80, 0x80],
  'a cut sequence': [0xe2, 0x82],
};

for (const [name, bytes] of Object.entries(badStrings)) {
  test(`${name} is found in every string of a span`, () => {
    const raw = Buffer.from([0x61, 0x62, 0x63, 0x64, 0x65, ...bytes]);
    const inKey = field(1, raw);
    const inValue = field(2, field(1, raw));
    const nested = field(2, field(6, field(1, field(2, field(5, field(1, field(1, raw)))))));
    const places = [
      field(3, raw),
      field(5, raw),
      field(9, inKey),
      field(9, inValue),
      field(9, nested),
      field(11, field(2, raw)),
      field(11, field(3, inKey)),
      field(13, field(3, raw)),
      field(13, field(4, inValue)),
      field(15, field(2, raw)),
    ];
    for (const place of places) {
      const result = walked(requestOfRawSpan(rawSpan(place)));
      assert.deepEqual([result.acceptedSpans, result.reason], [0, 'span 1: a string that is not UTF-8']);
    }
  });
}

test('text in any script, and any bytes in a bytes value, are good', () => {
  const attributes = [text('größe', '東京 🚗'), { key: 'raw', value: { bytesValue: Buffer.from([0xff, 0xc0, 0x80]) } }];
  assert.equal(walked(encodeByOracle(requestOf([plainSpan(0, { name: 'Приве́т', attributes })]))).acceptedSpans, 1);
});

test('values may be nested as deep as the strictest decoder goes, and no deeper', () => {
  assert.equal(walked(requestWithNestedArrays(47)).acceptedSpans, 1);
  for (const arrays of [48, 5_000]) {
    const result = walked(requestWithNestedArrays(arrays));
    assert.deepEqual([result.acceptedSpans, result.reason], [0, 'span 1: nested more than 100 levels deep']);
  }
});

test('a padded varint, an all-zero parent and fields of the future are good, and kept', () => {
  const unknown = Buffer.from([0xa0, 0x06, 0x85, 0x80, 0x80, 0x00]);
  const padded = Buffer.from([0x2a, 0x81, 0x80, 0x00, 0x41]);
  const bytes = requestOfRawSpan(rawSpan(unknown, padded, field(4, Buffer.alloc(8)), field(77, Buffer.from('new'))));
  assert.equal(walked(bytes).bytes, bytes);
});

test('unknown fields beside a span that is cut stay as they are', () => {
  const future = field(55, Buffer.from('keep me'));
  const good = field(2, rawSpan());
  const bad = field(2, field(1, traceId));
  const request = (spans: Uint8Array) =>
    Buffer.concat([
      future,
      field(1, Buffer.concat([future, field(2, Buffer.concat([future, spans, future])), future])),
      future,
    ]);
  const result = walked(request(Buffer.concat([good, bad])));
  assert.deepEqual(Buffer.from(result.bytes), request(good));
});

test('a bad resource costs its own spans, all of them, and nobody else theirs', () => {
  const scope = (spans: Json[]) => field(2, Buffer.from(encodeScope(spans)));
  const badResource = field(1, field(1, field(1, Buffer.from([0xff]))));
  const resourceSpans = Buffer.concat([scope(five.slice(0, 2)), badResource, scope(five.slice(2))]);
  const good = encodeByOracle(requestOf([five[0]!]));
  const result = walked(Buffer.concat([good, field(1, resourceSpans), good]));
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [2, 5]);
  assert.equal(result.reason, 'a resource: a string that is not UTF-8');
  assert.deepEqual(Buffer.from(result.bytes), Buffer.concat([good, good]));
});

test('a bad scope or schema url costs the spans of its own scope', () => {
  for (const bad of [field(1, field(1, Buffer.from([0xff]))), field(3, Buffer.from([0xff]))]) {
    const good = field(2, Buffer.from(encodeScope(five.slice(0, 2))));
    const result = walked(field(1, Buffer.concat([good, field(2, Buffer.concat([bad, encodeScope(five.slice(2))]))])));
    assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [2, 3]);
    assert.deepEqual(names(result.bytes), [[fiveNames.slice(0, 2)]]);
  }
});

test('spans before the place where a scope breaks off survive', () => {
  const broken = Buffer.concat([encodeScope(five), Buffer.from([0x12, 0x7f, 1, 2, 3])]);
  const result = walked(Buffer.concat([field(1, field(2, broken)), encodeByOracle(requestOf([fullSpan]))]));
  assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [6, 1]);
  assert.equal(result.reason, 'a scope that breaks off: a length beyond the end of its message');
  assert.deepEqual(names(result.bytes), [[fiveNames], [[fullSpan.name]]]);
});

test('the old field 1000 becomes scope_spans, bad spans cut from it too', () => {
  const old = { resource: { attributes: [text('service.name', 'old')] } };
  const request = (spans: Json[]) =>
    encodeByOracle({ resourceSpans: [{ ...old, instrumentationLibrarySpans: [{ spans }] }] });
  const now = encodeByOracle({ resourceSpans: [{ ...old, scopeSpans: [{ spans: five }] }] });
  const good = walked(request(five));
  assert.deepEqual([good.acceptedSpans, good.rejectedSpans], [5, 0]);
  assert.deepEqual(decodeByOracle(good.bytes), decodeByOracle(now));
  const mixed = walked(request([...five.slice(0, 2), plainSpan(9, { spanId: Buffer.alloc(2) }), ...five.slice(2)]));
  assert.deepEqual([mixed.acceptedSpans, mixed.rejectedSpans], [5, 1]);
  assert.deepEqual(decodeByOracle(mixed.bytes), decodeByOracle(now));
});

test('beside scope_spans the old field is a copy and is left out, with a warning', () => {
  const bad = plainSpan(9, { spanId: Buffer.alloc(2) });
  const bytes = encodeByOracle({
    resourceSpans: [
      { scopeSpans: [{ spans: five }], instrumentationLibrarySpans: [{ spans: five }, { spans: [five[1]] }] },
      { scopeSpans: [{ spans: [fullSpan, bad] }] },
    ],
  });
  const result = walked(bytes);
  assert.equal(result.acceptedSpans, 6);
  assert.equal(result.rejectedSpans, 1);
  assert.match(result.reason, /instrumentation_library_spans beside scope_spans were left out/);
  assert.deepEqual(names(result.bytes), [[fiveNames], [[fullSpan.name]]]);
});

test('what is no request at all is malformed, with the place', () => {
  const good = encodeByOracle(requestOf(five));
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [good.subarray(0, good.byteLength - 1), /a length beyond the end of its message at byte 0$/],
    [Buffer.concat([good, Buffer.from([0x0a])]), new RegExp(`cut short at byte ${good.byteLength}$`)],
    [Buffer.from('{"resourceSpans":[]}'), /at byte 0$/],
    [Buffer.from([0x08, 0x01]), /field 1 with wire type 0/],
    [Buffer.from([0x00]), /field number 0/],
  ];
  for (const [bytes, reason] of cases) {
    const result = walk(bytes);
    assert.equal(result.kind, 'malformed');
    assert.match(result.reason, reason);
  }
});

function encodeScope(spans: Json[]): Uint8Array {
  const request = encodeByOracle({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
  // The request around the scope is two tags and two lengths.
  const lengthBytes = (position: number) => (request[position]! < 0x80 ? 1 : request[position + 1]! < 0x80 ? 2 : 3);
  const resource = 1 + lengthBytes(1);
  return request.subarray(resource + 1 + lengthBytes(resource + 1));
}
