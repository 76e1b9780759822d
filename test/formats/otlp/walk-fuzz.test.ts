import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeRequest } from '../../../src/formats/otlp/decode.ts';
import { walk } from '../../../src/formats/otlp/walk.ts';
import { decodeByOracle, encodeByOracle, type Json } from './oracle.ts';
import { fullSpan, plainSpan, text, traceId } from './samples.ts';

interface Request {
  readonly resourceSpans: { readonly scopeSpans: { readonly spans: Json[] }[] }[];
}

const attribute = fc.record({
  key: fc.string({ unit: 'binary', maxLength: 20 }),
  value: fc.string({ unit: 'binary' }),
});
const span = fc
  .tuple(fc.integer({ min: 0, max: 1e9 }), fc.array(attribute, { maxLength: 4 }), fc.boolean())
  .map(([index, attributes, isBad]) =>
    plainSpan(index, {
      attributes: attributes.map(({ key, value }) => text(key, value)),
      ...(isBad ? { traceId: traceId.subarray(0, index % 16), name: 'bad' } : { name: `good ${index}` }),
    }),
  );
const requests = fc
  .array(fc.array(fc.array(span, { maxLength: 4 }), { maxLength: 3 }), { maxLength: 3 })
  .map((resources) => ({
    resourceSpans: resources.map((scopes) => ({
      resource: { attributes: [text('service.name', 's')] },
      scopeSpans: scopes.map((spans) => ({ scope: { name: 'lib' }, spans })),
    })),
  }));

test('exactly the good spans survive, in their order and places', () => {
  fc.assert(
    fc.property(requests, (request) => {
      const result = walk(encodeByOracle(request));
      assert.equal(result.kind, 'walked');
      const good = structuredClone(request) as Request;
      let rejected = 0;
      for (const { scopeSpans } of good.resourceSpans) {
        for (const scope of scopeSpans) {
          const kept = scope.spans.filter(({ name }) => name !== 'bad');
          rejected += scope.spans.length - kept.length;
          scope.spans.splice(0, scope.spans.length, ...kept);
        }
      }
      const accepted = good.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)).length;
      assert.deepEqual([result.acceptedSpans, result.rejectedSpans], [accepted, rejected]);
      assert.deepEqual(decodeByOracle(result.bytes), decodeByOracle(encodeByOracle(good as unknown as Json)));
    }),
    { numRuns: 150 },
  );
});

const sample = encodeByOracle({
  resourceSpans: [
    {
      resource: { attributes: [text('service.name', 's')] },
      scopeSpans: [{ scope: { name: 'l' }, spans: [fullSpan, plainSpan(1)] }],
    },
    { instrumentationLibrarySpans: [{ spans: [plainSpan(2)] }] },
  ],
});

/** Whatever went in: the walk does not throw, and what it lets through every decoder takes and a second walk leaves alone. */
function check(bytes: Uint8Array): void {
  const result = walk(bytes);
  if (result.kind === 'malformed') return;
  decodeByOracle(result.bytes);
  const decoded = decodeRequest(result.bytes);
  const spans = decoded.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
  assert.equal(spans.length, result.acceptedSpans);
  for (const { traceId, spanId } of spans) {
    assert.match(traceId, /^(?!0+$)[0-9a-f]{32}$/);
    assert.match(spanId, /^(?!0+$)[0-9a-f]{16}$/);
  }
  const again = walk(result.bytes);
  assert.equal(again.kind === 'walked' && again.bytes, result.bytes);
  assert.equal(again.kind === 'walked' && again.acceptedSpans, result.acceptedSpans);
}

test('every single byte of a request may be anything', () => {
  for (let position = 0; position < sample.byteLength; position++) {
    for (const value of [0x00, 0x01, 0x0a, 0x7f, 0x80, 0xff, sample[position]! ^ 1, sample[position]! ^ 0x80]) {
      const bytes = new Uint8Array(sample);
      bytes[position] = value;
      check(bytes);
    }
  }
});

test('a request may end anywhere', () => {
  for (let cut = 0; cut < sample.byteLength; cut++) check(sample.subarray(0, cut));
});

test('bytes may be inserted, removed and repeated anywhere', () => {
  const place = fc.integer({ min: 0, max: sample.byteLength });
  fc.assert(
    fc.property(place, place, fc.uint8Array({ maxLength: 12 }), (from, to, inserted) => {
      check(Buffer.concat([sample.subarray(0, from), inserted, sample.subarray(to)]));
    }),
    { numRuns: 1_500 },
  );
});

test('noise never throws', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { numRuns: 1_500 });
});
