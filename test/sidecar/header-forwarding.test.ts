import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderForwarding } from '../../src/sidecar/header-forwarding.ts';
import { Format } from '../../src/trace/context.ts';

const both = Format.tracecontext | Format.b3multi;

test('nothing seen is no verdict', () => {
  assert.deepEqual(new HeaderForwarding(true).report(), {
    verdict: 'unknown',
    share: undefined,
    calls: 0,
    forwarded: 0,
    ownContext: 0,
    headers: {},
  });
});

test('calls that carry everything on: yes', () => {
  const seen = new HeaderForwarding(true);
  seen.gave('s1', both);
  seen.sawCall('s1', both, true);
  const { verdict, share, headers } = seen.report();
  assert.deepEqual([verdict, share, headers], ['yes', 1, { tracecontext: 1, b3multi: 1, 'x-request-id': 1 }]);
});

test('a family left behind, or some calls without: partly', () => {
  const family = new HeaderForwarding(true);
  family.gave('s1', both);
  family.sawCall('s1', Format.b3multi, true);
  assert.equal(family.report().verdict, 'partly');
  assert.deepEqual(family.report().headers, { tracecontext: 0, b3multi: 1, 'x-request-id': 1 });
  const some = new HeaderForwarding(true);
  some.gave('s1', both);
  some.inFlight = 1;
  some.sawCall('s1', both, true);
  some.sawCall('', 0, false);
  assert.deepEqual([some.report().verdict, some.report().share], ['partly', 0.5]);
});

test('calls without context while a request is served: no; outside of one they say nothing', () => {
  const seen = new HeaderForwarding(true);
  seen.gave('s1', both);
  seen.sawCall('', 0, false);
  assert.equal(seen.report().verdict, 'unknown');
  seen.inFlight = 1;
  seen.sawCall('', 0, false);
  assert.deepEqual([seen.report().verdict, seen.report().share], ['no', 0]);
});

test('a context of the application itself is counted apart', () => {
  const seen = new HeaderForwarding(true);
  seen.inFlight = 1;
  seen.sawCall('own', both, false);
  assert.deepEqual([seen.report().ownContext, seen.report().calls], [1, 0]);
});

test('ids are remembered for thousands of requests, and no longer for ever', () => {
  const seen = new HeaderForwarding(true);
  for (let i = 0; i < 4096; i++) seen.gave(`s${i}`, both);
  assert.equal(seen.wasInjected('s0'), true);
  for (let i = 0; i < 8192; i++) seen.gave(`t${i}`, both);
  assert.equal(seen.wasInjected('s0'), false);
  assert.equal(seen.wasInjected('t8191'), true);
});
