import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ParsedContext } from '../../src/trace/context.ts';
import { parseCustomTag, readBaggage } from '../../src/trace/custom-tags.ts';
import { resolveContext } from '../../src/trace/resolve.ts';
import { decideSampling, isKept, type SamplingInput } from '../../src/trace/sampling.ts';

const traceA = 'a'.repeat(32);
const traceB = 'b'.repeat(32);

function parsed(traceId: string, spanId: string, more: Partial<ParsedContext> = {}): ParsedContext {
  return { traceId, spanId, sampled: true, debug: false, traceId64: false, randomFlag: false, ...more };
}

const never = () => false;

test('one context needs no settling', () => {
  const only = parsed(traceA, '1');
  assert.deepEqual(resolveContext([only], never), { context: only, conflict: undefined });
  assert.equal(resolveContext([], never), undefined);
});

test('same trace, different parents: the one this sidecar did not inject wins', () => {
  const stale = parsed(traceA, 'injected');
  const fresh = parsed(traceA, 'fresh');
  const injected = (id: string) => id === 'injected';
  for (const order of [
    [stale, fresh],
    [fresh, stale],
  ]) {
    const result = resolveContext(order, injected);
    assert.equal(result?.context.spanId, 'fresh');
    assert.equal(result?.conflict, 'span_id');
  }
});

test('same trace, both unknown: the order of precedence decides', () => {
  assert.equal(resolveContext([parsed(traceA, 'w3c'), parsed(traceA, 'b3')], never)?.context.spanId, 'w3c');
});

test('different traces: the order of precedence decides, and it is counted', () => {
  const result = resolveContext([parsed(traceA, 'w3c'), parsed(traceB, 'b3')], (id) => id === 'w3c');
  assert.deepEqual([result?.context.traceId, result?.conflict], [traceA, 'trace_id']);
});

test('a 64-bit B3 trace id is the same trace as the 128-bit one with those low bits', () => {
  const low = parsed(`${'0'.repeat(16)}${'c'.repeat(16)}`, 's', { traceId64: true });
  const wide = parsed(`${'d'.repeat(16)}${'c'.repeat(16)}`, 's');
  const result = resolveContext([low, wide], never);
  assert.deepEqual(
    [result?.context.traceId, result?.context.traceId64, result?.conflict],
    [wide.traceId, false, undefined],
  );
});

test('a missing decision is taken from a context that has one', () => {
  const result = resolveContext(
    [parsed(traceA, 's', { sampled: undefined }), parsed(traceA, 's', { sampled: false })],
    never,
  );
  assert.equal(result?.context.sampled, false);
});

test('a flag without ids decides only when there is nothing else', () => {
  const flag = parsed('', '', { sampled: false });
  assert.equal(resolveContext([flag], never)?.context.sampled, false);
  assert.equal(resolveContext([flag, parsed(traceA, 's')], never)?.context.sampled, true);
});

const policy = { clientPercent: 100, randomPercent: 50, overallPercent: 100 };
const request: SamplingInput = {
  excluded: false,
  internal: false,
  forceRequested: false,
  clientRequested: false,
  parentSampled: undefined,
  randomness: 0.7,
};

test('random sampling keeps the upper share of the randomness', () => {
  assert.deepEqual(decideSampling(policy, request), { sampled: true, reason: 'random' });
  assert.deepEqual(decideSampling(policy, { ...request, randomness: 0.49 }), { sampled: false, reason: 'random' });
  assert.equal(isKept(0, 100), true);
  assert.equal(isKept(1 - 2 ** -48, 0), false);
  assert.equal(isKept(0.9, 10), true);
  assert.equal(isKept(0.8999, 10), false);
});

test('a parent flag beats random, in both directions', () => {
  assert.deepEqual(decideSampling(policy, { ...request, parentSampled: false }), { sampled: false, reason: 'parent' });
  const low = { ...request, randomness: 0.1, parentSampled: true };
  assert.deepEqual(decideSampling(policy, low), { sampled: true, reason: 'parent' });
});

test('forcing counts from inside only, and beats the parent flag', () => {
  const forced = { ...request, forceRequested: true, parentSampled: false };
  assert.deepEqual(decideSampling(policy, forced), { sampled: false, reason: 'parent' });
  assert.deepEqual(decideSampling(policy, { ...forced, internal: true }), { sampled: true, reason: 'service_forced' });
});

test('client sampling rolls its own dice', () => {
  const asked = { ...request, clientRequested: true, randomness: 0 };
  const half = { ...policy, clientPercent: 50 };
  assert.deepEqual(
    decideSampling(half, asked, () => 0.49),
    { sampled: true, reason: 'client_forced' },
  );
  assert.deepEqual(
    decideSampling(half, asked, () => 0.5),
    { sampled: false, reason: 'random' },
  );
});

test('overall caps every outcome on the same randomness, and nothing raises what was not sampled', () => {
  const capped = { ...policy, overallPercent: 20 };
  for (const more of [
    {},
    { parentSampled: true },
    { clientRequested: true },
    { internal: true, forceRequested: true },
  ]) {
    assert.deepEqual(decideSampling(capped, { ...request, ...more }), { sampled: false, reason: 'overall' });
    assert.equal(decideSampling(capped, { ...request, ...more, randomness: 0.81 }).sampled, true);
  }
  assert.deepEqual(decideSampling(capped, { ...request, parentSampled: false }).reason, 'parent');
});

test('an excluded request is never sampled, whatever it asks for', () => {
  const all = { ...request, excluded: true, internal: true, forceRequested: true, parentSampled: true };
  assert.deepEqual(decideSampling(policy, all), { sampled: false, reason: 'excluded' });
});

test('custom tags are parsed in each kind, colons in defaults kept', () => {
  assert.deepEqual(parseCustomTag('a=literal:x:y=z'), { kind: 'literal', name: 'a', value: 'x:y=z' });
  assert.deepEqual(parseCustomTag('t=header:X-Tenant:none:really'), {
    kind: 'header',
    name: 't',
    header: 'x-tenant',
    fallback: 'none:really',
  });
  assert.deepEqual(parseCustomTag('p=env:POD'), { kind: 'environment', name: 'p', variable: 'POD', fallback: '' });
  assert.deepEqual(parseCustomTag('u=baggage:user'), { kind: 'baggage', name: 'u', key: 'user' });
  for (const bad of ['', 'a', 'a=b', 'a=literal:', '=literal:x', 'a=header:', 'a=header:x y', 'a=cookie:x']) {
    assert.equal(typeof parseCustomTag(bad), 'string', bad);
  }
});

test('baggage values are found by key, decoded, properties left out', () => {
  assert.equal(readBaggage('a=1, user = J%C3%BCrgen ;prop=x,b=2', 'user'), 'Jürgen');
  assert.equal(readBaggage('user=%zz', 'user'), '%zz');
  assert.equal(readBaggage('a=1', 'user'), '');
});
