import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeSpans } from '../../src/store/indexed-span.ts';
import { TraceStore } from '../../src/store/trace-store.ts';
import { request, traceA, traceB } from './requests.ts';

function names(store: TraceStore, traceId: string): string[] {
  return decodeSpans(store.findTrace(traceId)?.spans ?? []).map(({ span }) => span.name);
}

function traceIdOf(index: number): string {
  return index.toString(16).padStart(32, '0');
}

test('spans of one trace from several requests are one trace, late ones too', () => {
  const store = new TraceStore();
  store.accept(request('shop', { spanId: '1111111111111111', name: 'root' }));
  store.accept(request('other', { traceId: traceB, name: 'between' }));
  store.accept(request('billing', { spanId: '2222222222222222', parentSpanId: '1111111111111111', name: 'late' }));
  assert.deepEqual(names(store, traceA), ['root', 'late']);
  assert.deepEqual(
    decodeSpans(store.findTrace(traceA)?.spans ?? []).map(({ service, scope }) => [service, scope.name]),
    [
      ['shop', 'lib'],
      ['billing', 'lib'],
    ],
  );
  const { traces, spans, evicted } = store.stats();
  assert.deepEqual({ traces, spans, evicted }, { traces: 2, spans: 3, evicted: 0 });
});

test('a request that comes twice is stored once and takes no more room', () => {
  const store = new TraceStore();
  const twice = request('shop', { name: 'a' }, { spanId: '2222222222222222', name: 'b' });
  store.accept(twice);
  const before = store.stats();
  store.accept(twice);
  assert.deepEqual(store.stats(), before);
  assert.deepEqual(names(store, traceA), ['a', 'b']);
  assert.deepEqual(store.operations('shop').length, 2);
});

test('client and server halves that share a span id are both kept, however often each comes', () => {
  const store = new TraceStore();
  const client = request('shop', { name: 'call', kind: 3 });
  const server = request('billing', { name: 'call', kind: 2 });
  for (const half of [client, server, server, client]) store.accept(half);
  const kept = decodeSpans(store.findTrace(traceA)?.spans ?? []);
  assert.deepEqual(
    kept.map(({ span, service }) => [service, span.kind]),
    [
      ['shop', 3],
      ['billing', 2],
    ],
  );
});

test('equal spans of two services are two spans', () => {
  const store = new TraceStore();
  store.accept(request('shop', { name: 'call' }));
  store.accept(request('billing', { name: 'call' }));
  assert.equal(store.stats().spans, 2);
});

test('past maxSpans the oldest traces leave whole, with their services and operations, and are counted', () => {
  const store = new TraceStore({ maxSpans: 4 });
  store.accept(
    request('first', { traceId: traceIdOf(1), name: 'a' }, { traceId: traceIdOf(1), spanId: '22'.repeat(8) }),
  );
  store.accept(request('second', { traceId: traceIdOf(2) }, { traceId: traceIdOf(2), spanId: '22'.repeat(8) }));
  store.accept(request('third', { traceId: traceIdOf(3) }));
  const { traces, spans, evicted, evictedSpans } = store.stats();
  assert.deepEqual({ traces, spans, evicted, evictedSpans }, { traces: 2, spans: 3, evicted: 1, evictedSpans: 2 });
  assert.equal(store.findTrace(traceIdOf(1)), undefined);
  assert.deepEqual(store.services(), ['second', 'third']);
  assert.deepEqual(store.operations('first'), []);
});

test('a late span does not make its trace younger', () => {
  const store = new TraceStore({ maxSpans: 3 });
  store.accept(request('s', { traceId: traceIdOf(1) }));
  store.accept(request('s', { traceId: traceIdOf(2) }));
  store.accept(request('s', { traceId: traceIdOf(1), spanId: '22'.repeat(8) }));
  store.accept(request('s', { traceId: traceIdOf(3) }));
  assert.deepEqual(
    [1, 2, 3].map((index) => store.findTrace(traceIdOf(index))?.spanCount),
    [undefined, 1, 1],
  );
});

test('maxBytes bounds what is kept, and everything evicted gives all its bytes back', () => {
  const store = new TraceStore({ maxBytes: 20_000 });
  for (let index = 1; index <= 200; index++) {
    store.accept(request('shop', { traceId: traceIdOf(index), tags: { text: 'x'.repeat(1000) } }));
    assert.ok(store.stats().bytes <= 20_000);
  }
  const { traces, spans, evicted } = store.stats();
  assert.ok(traces >= 5 && traces <= 10, `${traces} traces`);
  assert.equal(traces, spans);
  assert.equal(evicted, 200 - traces);
  assert.equal(store.newestFirst().at(-1)?.traceId, traceIdOf(201 - traces));
  store.accept(request('shop', { traceId: traceIdOf(999), tags: { text: 'x'.repeat(30_000) } }));
  assert.deepEqual(store.stats(), { traces: 0, spans: 0, bytes: 0, evicted: 201, evictedSpans: 201 });
  assert.deepEqual(store.services(), []);
  store.accept(request('shop', { name: 'again' }));
  assert.deepEqual(names(store, traceA), ['again']);
});

test('operations are listed by name and kind, services sorted', () => {
  const store = new TraceStore();
  store.accept(request('shop', { name: 'b', kind: 2 }, { spanId: '22'.repeat(8), name: 'b', kind: 3 }));
  store.accept(request('bakery', { spanId: '33'.repeat(8), name: 'a', kind: 0 }));
  store.accept(request('shop', { spanId: '44'.repeat(8), name: 'a', kind: 2 }));
  assert.deepEqual(store.services(), ['bakery', 'shop']);
  assert.deepEqual(store.operations('shop'), [
    { name: 'a', kind: 2 },
    { name: 'b', kind: 2 },
    { name: 'b', kind: 3 },
  ]);
});

test('the sender may reuse its buffer, and unknown fields stay', () => {
  const store = new TraceStore();
  const buffer = Buffer.from(request('shop', { name: 'kept' }));
  store.accept(buffer);
  buffer.fill(0);
  assert.deepEqual(names(store, traceA), ['kept']);
});

test('bytes that are no request are refused and leave nothing behind', () => {
  const store = new TraceStore();
  const good = request('shop', { name: 'a' });
  assert.throws(() => store.accept(Buffer.concat([good, Buffer.from([0x0a, 0x7f, 1])])), { name: 'ProtobufError' });
  assert.deepEqual(store.stats(), { traces: 0, spans: 0, bytes: 0, evicted: 0, evictedSpans: 0 });
});
