import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchIds } from '../../src/collector/batch-ids.ts';

test('a batch is known by instance, epoch and sequence together', () => {
  const ids = new BatchIds<string>();
  ids.remember('pod-a/1763735725/7', 'taken');
  assert.equal(ids.find('pod-a/1763735725/7'), 'taken');
  for (const other of ['pod-b/1763735725/7', 'pod-a/1763735726/7', 'pod-a/1763735725/8']) {
    assert.equal(ids.find(other), undefined, other);
  }
});

test('instances may have slashes in their names', () => {
  const ids = new BatchIds<string>();
  ids.remember('ns/pod/1/7', 'taken');
  assert.equal(ids.find('ns/pod/1/7'), 'taken');
  assert.equal(ids.find('pod/1/7'), undefined);
});

test('what has not the form of an id is never known', () => {
  const ids = new BatchIds<string>();
  for (const id of [
    undefined,
    '',
    '7',
    'a/7',
    'a/1/',
    'a/1/-1',
    'a/1/x',
    'a b/1/1',
    `${'a'.repeat(201)}/1/1`,
    'a/1/1\n',
  ]) {
    ids.remember(id, 'taken');
    assert.equal(ids.find(id), undefined, id);
  }
});

test('only the last batches of a sender are kept', () => {
  const ids = new BatchIds<number>(3);
  for (let sequence = 0; sequence < 5; sequence++) ids.remember(`a/1/${sequence}`, sequence);
  assert.deepEqual(
    [0, 1, 2, 3, 4].map((sequence) => ids.find(`a/1/${sequence}`)),
    [undefined, undefined, 2, 3, 4],
  );
});

test('only the last senders heard are kept', () => {
  const ids = new BatchIds<string>(10, 2);
  ids.remember('a/1/1', 'a');
  ids.remember('b/1/1', 'b');
  ids.remember('a/1/2', 'a');
  ids.remember('c/1/1', 'c');
  assert.deepEqual([ids.find('a/1/1'), ids.find('b/1/1'), ids.find('c/1/1')], ['a', undefined, 'c']);
});
