import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './static.ts';

interface Node {
  name: string;
  depth: number;
  notes: string[];
  missingParent: string | null;
  isError: boolean;
  hasErrorBelow: boolean;
  descendantCount: number;
}

interface Model {
  nodes: Node[];
  roots: Node[];
  root: Node;
  isIncomplete: boolean;
  durationUs: number;
  services: Map<string, { spans: number; errors: number }>;
  errorCount: number;
  depth: number;
}

const { buildTrace } = await load<{ buildTrace(trace: unknown): Model }>('trace-model.js');

interface Fields {
  id: string;
  parent?: string;
  at?: number;
  duration?: number;
  service?: string;
  kind?: string;
  error?: boolean;
  follows?: string;
}

/** A span named after its id. */
function span({ id, parent, at = 0, duration = 10, service = 'p1', kind, error, follows }: Fields) {
  const reference = (refType: string, spanID: string) => ({ refType, traceID: 't', spanID });
  return {
    traceID: 't',
    spanID: id,
    operationName: `${id}${kind ?? ''}`,
    references: [
      ...(parent === undefined ? [] : [reference('CHILD_OF', parent)]),
      ...(follows === undefined ? [] : [reference('FOLLOWS_FROM', follows)]),
    ],
    startTime: 1000 + at,
    duration,
    tags: [
      ...(kind === undefined ? [] : [{ key: 'span.kind', type: 'string', value: kind }]),
      ...(error === true ? [{ key: 'error', type: 'bool', value: true }] : []),
    ],
    logs: [],
    processID: service,
    warnings: null,
  };
}

function build(...spans: Fields[]): Model {
  const processes = { p1: { serviceName: 'shop', tags: [] }, p2: { serviceName: 'billing', tags: [] } };
  return buildTrace({ traceID: 't', spans: spans.map(span), processes, warnings: null });
}

function outline({ nodes }: Model): string[] {
  return nodes.map((node) => `${'-'.repeat(node.depth)}${node.name}`);
}

test('spans stand under their parents, siblings by start, whatever order they came in', () => {
  const trace = build(
    { id: 'd', parent: 'b', at: 4 },
    { id: 'c', parent: 'a', at: 5 },
    { id: 'b', parent: 'a', at: 3 },
    { id: 'a', duration: 50 },
  );
  assert.deepEqual(outline(trace), ['a', '-b', '--d', '-c']);
  assert.deepEqual([trace.depth, trace.durationUs, trace.isIncomplete], [3, 50, false]);
  assert.deepEqual(
    trace.nodes.map((node) => node.descendantCount),
    [3, 1, 0, 0],
  );
});

test('a span whose parent is missing stands at the top, with a note, and does not name the trace', () => {
  const trace = build({ id: 'lost', parent: 'gone', at: 1 }, { id: 'a', at: 2 }, { id: 'b', parent: 'lost', at: 3 });
  assert.deepEqual(outline(trace), ['lost', '-b', 'a']);
  assert.equal(trace.nodes[0]?.missingParent, 'gone');
  assert.match(trace.nodes[0]?.notes[0] ?? '', /^Its parent gone is not in this trace/);
  assert.equal(trace.root.name, 'a');
  assert.equal(trace.isIncomplete, true);
});

test('the halves of a shared span id nest: server under client, and each keeps its own children', () => {
  const trace = build(
    { id: 'root' },
    { id: 's', parent: 'root', kind: 'server', service: 'p2', at: 2 },
    { id: 's', parent: 'root', kind: 'client', at: 1 },
    { id: 'inner', parent: 's', service: 'p2', at: 3 },
    { id: 'own', parent: 's', at: 4 },
  );
  assert.deepEqual(outline(trace), ['root', '-sclient', '--sserver', '---inner', '--own']);
});

test('a child that starts before its parent is kept where it was reported, with a note', () => {
  const trace = build({ id: 'a', at: 10 }, { id: 'b', parent: 'a', at: 5, service: 'p2' });
  assert.deepEqual(outline(trace), ['a', '-b']);
  assert.match(trace.nodes[1]?.notes[0] ?? '', /starts before its parent \(shop\): the two clocks disagree/);
  assert.deepEqual(trace.nodes[0]?.notes, []);
});

test('loops end: a ring and a span that is its own parent are shown once each', () => {
  const trace = build(
    { id: 'a', parent: 'c', at: 1 },
    { id: 'b', parent: 'a', at: 2 },
    { id: 'c', parent: 'b', at: 3 },
    { id: 'self', parent: 'self', at: 4 },
  );
  assert.deepEqual(outline(trace), ['self', 'a', '-b', '--c']);
  assert.match(trace.nodes[0]?.notes[0] ?? '', /names itself as its parent/);
  assert.match(trace.nodes[1]?.notes[0] ?? '', /parents form a loop/);
});

test('a span that only follows another stands under it', () => {
  assert.deepEqual(outline(build({ id: 'a' }, { id: 'b', follows: 'a', at: 1 })), ['a', '-b']);
});

test('errors are counted, by service too, and told to the rows above', () => {
  const trace = build(
    { id: 'a' },
    { id: 'b', parent: 'a', at: 1 },
    { id: 'c', parent: 'b', at: 2, service: 'p2', error: true },
  );
  assert.equal(trace.errorCount, 1);
  assert.deepEqual(
    trace.nodes.map((node) => [node.isError, node.hasErrorBelow]),
    [
      [false, true],
      [false, true],
      [true, false],
    ],
  );
  assert.deepEqual(
    [...trace.services],
    [
      ['shop', { spans: 2, errors: 0 }],
      ['billing', { spans: 1, errors: 1 }],
    ],
  );
});

test('a chain of 20,000 spans does not exhaust the stack', () => {
  const chain = Array.from({ length: 20_000 }, (_, index) => {
    return index === 0 ? { id: '0' } : { id: String(index), parent: String(index - 1), at: index };
  });
  const trace = build(...chain);
  assert.deepEqual([trace.depth, trace.nodes.length, trace.roots.length], [20_000, 20_000, 1]);
});
