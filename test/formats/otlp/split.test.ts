import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countSpans } from '../../../src/formats/otlp/count.ts';
import { concatRequests, splitRequest, splitToSize } from '../../../src/formats/otlp/split.ts';
import { walk } from '../../../src/formats/otlp/walk.ts';
import { decodeByOracle, encodeByOracle, type Json } from './oracle.ts';
import { field, plainSpan, requestOf, text } from './samples.ts';

interface Decoded {
  readonly resourceSpans: {
    readonly resource: Json;
    readonly schemaUrl?: string;
    readonly scopeSpans: { readonly scope?: { readonly name: string }; readonly spans: Json[] }[];
  }[];
}

/** Every span as `service/scope/name`. */
function flat(bytes: Uint8Array): string[] {
  const { resourceSpans } = decodeByOracle(bytes) as unknown as Decoded;
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => {
        const [service] = resource.attributes as { value: { stringValue: string } }[];
        return `${service?.value.stringValue}/${scope?.name}/${span.name}`;
      }),
    ),
  );
}

function spansOf(count: number, from = 0): Json[] {
  return Array.from({ length: count }, (_, index) => plainSpan(from + index));
}

const nested = encodeByOracle({
  resourceSpans: [
    ...(requestOf(spansOf(3), 'a', 'x').resourceSpans as Json[]),
    {
      resource: { attributes: [text('service.name', 'b')] },
      scopeSpans: [
        { scope: { name: 'y' }, spans: spansOf(2, 10) },
        { scope: { name: 'z' }, spans: spansOf(4, 20) },
      ],
    },
  ],
});

test('requests put one behind the other are one request with all resources in order', () => {
  const parts = [requestOf(spansOf(2), 'a'), requestOf(spansOf(1, 5), 'b'), { resourceSpans: [] }].map(encodeByOracle);
  const joined = concatRequests(parts);
  assert.deepEqual(flat(joined), parts.flatMap(flat));
  assert.equal(concatRequests([joined]), joined);
  assert.equal(countSpans(joined), 3);
});

test('spans are counted over resources, scopes and the old field', () => {
  assert.equal(countSpans(nested), 9);
  assert.equal(countSpans(new Uint8Array()), 0);
  const old = encodeByOracle({ resourceSpans: [{ instrumentationLibrarySpans: [{ spans: spansOf(2) }] }] });
  assert.equal(countSpans(old), 2);
});

test('halving down to single spans loses nothing, keeps the order and repeats resource and scope', () => {
  const leaves: string[] = [];
  const visit = (bytes: Uint8Array, spans: number): void => {
    const result = walk(bytes);
    assert.equal(result.kind === 'walked' && result.acceptedSpans, spans);
    const halves = splitRequest({ bytes, spans });
    if (halves === undefined) leaves.push(...flat(bytes));
    else for (const half of halves) visit(half.bytes, half.spans);
  };
  visit(nested, 9);
  assert.deepEqual(leaves, flat(nested));
});

test('halves are about equal: a thousand spans are single after ten splits', () => {
  let part = { bytes: encodeByOracle(requestOf(spansOf(1000))), spans: 1000 };
  let splits = 0;
  for (let halves = splitRequest(part); halves !== undefined; halves = splitRequest(part)) {
    part = halves[0].spans > halves[1].spans ? halves[0] : halves[1];
    splits++;
  }
  assert.equal(part.spans, 1);
  assert.ok(splits <= 11, `${splits} splits`);
});

test('unknown fields beside the spans go with both halves', () => {
  const future = field(55, Buffer.from('new'));
  const [one] = spansOf(1).map((span) => encodeByOracle(requestOf([span])));
  const bytes = Buffer.concat([future, one!, one!]);
  const halves = splitRequest({ bytes, spans: 2 });
  assert.deepEqual(
    halves?.map((half) => Buffer.from(half.bytes)),
    [Buffer.concat([future, one!]), Buffer.concat([future, one!])],
  );
});

test('parts no longer than a limit are cut from a long request, and only a lone span may be longer', () => {
  const big = plainSpan(500, { name: 'n'.repeat(5_000) });
  const request = encodeByOracle(requestOf([...spansOf(100), big, ...spansOf(100, 600)]));
  const parts = splitToSize({ bytes: request, spans: 201 }, 2_000);
  assert.deepEqual(
    parts.flatMap((part) => flat(part.bytes)),
    flat(request),
  );
  const tooLong = parts.filter((part) => part.bytes.byteLength > 2_000);
  assert.deepEqual(
    tooLong.map((part) => [part.spans, flat(part.bytes)]),
    [[1, [`shop/tests/${'n'.repeat(5_000)}`]]],
  );
  assert.equal(
    parts.reduce((sum, part) => sum + part.spans, 0),
    201,
  );
});

test('a request within the limit is returned as it is', () => {
  const request = { bytes: nested, spans: 9 };
  assert.deepEqual(splitToSize(request, nested.byteLength), [request]);
});
