import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExpectedSpan, expectedTree, firstDifference, treeSize } from '../../../src/cli/demo/expected-tree.ts';
import type { StoredSpan } from '../../../src/cli/demo/stored-spans.ts';
import { scenarios } from '../../../src/cli/demo/topology.ts';
import { newContext } from '../../../src/cli/demo/traffic.ts';

const addresses = {
  'front-end': '127.0.0.1:1',
  orders: '127.0.0.1:2',
  inventory: '127.0.0.1:3',
  payments: '127.0.0.1:4',
};
const times = { startUnixMs: 1, endUnixMs: 2 };
const buy = { order: '1', scenario: scenarios.buy, status: 201, ...times };
const failing = { order: '2', scenario: scenarios.failing, status: 502, ...times };

/** Spans that fit a tree exactly. */
function spansOf(tree: ExpectedSpan, parentId = '', startUs = 100): StoredSpan[] {
  const spanId = `${startUs}`.padStart(16, '0');
  const span: StoredSpan = {
    ...{ traceId: 'a'.repeat(32), spanId, parentId, service: tree.service, name: tree.name, kind: tree.kind },
    ...{ error: tree.status >= 500, startUs, durationUs: 10, tags: { 'http.response.status_code': tree.status } },
  };
  return [span, ...tree.children.flatMap((child, i) => spansOf(child, spanId, startUs * 10 + i))];
}

test('a purchase is seven spans over four services, its parents alternating between server and client', () => {
  const tree = expectedTree(buy, addresses);
  assert.equal(treeSize(tree), 7);
  assert.deepEqual([tree.service, tree.kind, tree.name], ['front-end', 'SERVER', 'front-end:1/*']);
  const call = tree.children[0]!;
  assert.deepEqual([call.service, call.kind, call.name], ['front-end', 'CLIENT', 'orders:8080/*']);
  assert.deepEqual(
    call.children[0]!.children.map((child) => child.name),
    ['inventory:8080/*', 'payments:8080/*'],
  );
  assert.equal(firstDifference(tree, spansOf(tree)), undefined);
});

test('a request with its own context hangs from the span of the client', () => {
  const tree = expectedTree({ ...buy, context: newContext('b3') }, addresses);
  assert.equal(treeSize(tree), 8);
  assert.deepEqual([tree.service, tree.kind, tree.children.length], ['shopper', 'CLIENT', 1]);
});

test('spans that came in any order fit', () => {
  const tree = expectedTree(failing, addresses);
  assert.equal(firstDifference(tree, spansOf(tree).reverse()), undefined);
});

const faults: Record<string, [(spans: StoredSpan[]) => StoredSpan[], RegExp]> = {
  'a span missing at the end of a branch': [(spans) => spans.slice(0, -1), /has 0 children instead of 1/],
  'a span missing in the middle': [(spans) => spans.toSpliced(2, 1), /orphan/],
  'a span twice': [(spans) => [...spans, spans[3]!], /1 spans are stored twice/],
  'a wrong parent': [(spans) => spans.with(6, { ...spans[6]!, parentId: spans[0]!.spanId }), /children instead of/],
  'a second root': [(spans) => spans.with(3, { ...spans[3]!, parentId: '' }), /the trace has 2 children instead of 1/],
  'a wrong kind': [(spans) => spans.with(1, { ...spans[1]!, kind: 'SERVER' }), /kind is SERVER instead of CLIENT/],
  'a wrong service': [(spans) => spans.with(2, { ...spans[2]!, service: 'x' }), /service is x instead of orders/],
  'a wrong name': [(spans) => spans.with(2, { ...spans[2]!, name: 'y' }), /name is y instead of orders:2/],
  'an error that is not marked': [(spans) => spans.with(6, { ...spans[6]!, error: false }), /error status is false/],
  'an error marked where none was': [(spans) => spans.with(4, { ...spans[4]!, error: true }), /error status is true/],
  'a wrong status code': [
    (spans) => spans.with(6, { ...spans[6]!, tags: { 'http.response.status_code': 200 } }),
    /status_code is 200 instead of 503/,
  ],
  'nothing at all': [() => [], /the trace has 0 children instead of 1 \(none\)/],
};

for (const [name, [spoil, message]] of Object.entries(faults)) {
  test(`${name} is named`, () => {
    const tree = expectedTree(failing, addresses);
    assert.match(firstDifference(tree, spoil(spansOf(tree))) ?? 'no difference', message);
  });
}
