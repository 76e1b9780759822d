import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isExcluded, isInternalAddress } from '../../src/sidecar/exclusions.ts';
import { splitAuthority, splitTarget } from '../../src/sidecar/export/url-attributes.ts';

test('probes and telemetry are excluded, and nothing that only looks like them', () => {
  assert.equal(isExcluded('GET', '/healthz', 'kube-probe/1.30'), true);
  assert.equal(isExcluded('GET', '/', 'ELB-HealthChecker/2.0'), true);
  assert.equal(isExcluded('GET', '/', 'GoogleHC/1.0'), true);
  assert.equal(isExcluded('POST', '/v1/traces', 'otel'), true);
  assert.equal(isExcluded('POST', '/api/v2/spans?x=1', ''), true);
  assert.equal(isExcluded('GET', '/metrics', 'Prometheus/2.42'), true);
  assert.equal(isExcluded('GET', '/metrics', 'curl'), true);
  assert.equal(isExcluded('GET', '/v1/traces', 'curl'), false);
  assert.equal(isExcluded('POST', '/v1/traces/x', 'curl'), false);
  assert.equal(isExcluded('GET', '/healthz', 'my-kube-probe/1'), false);
});

test('private addresses are inside the trust boundary', () => {
  for (const inside of [
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.9.9',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.1.1',
    '::1',
    'fd00::1',
    'fe80::1',
    '::ffff:10.0.0.1',
  ]) {
    assert.equal(isInternalAddress(inside), true, inside);
  }
  for (const outside of [
    '8.8.8.8',
    '172.32.0.1',
    '172.15.0.1',
    '100.128.0.1',
    '192.169.0.1',
    '2001:db8::1',
    '::ffff:8.8.8.8',
    '',
  ]) {
    assert.equal(isInternalAddress(outside), false, outside);
  }
});

test('targets are split in each form, query values hidden unless allowed', () => {
  const allowed = new Set(['page']);
  assert.deepEqual(splitTarget('GET', '/a?page=1&t=x&flag', allowed), {
    pathAndQuery: '/a?page=1&t=REDACTED&flag',
    path: '/a',
    query: 'page=1&t=REDACTED&flag',
    authority: '',
  });
  assert.deepEqual(splitTarget('GET', 'http://u:p@h:1/x?y=1', allowed), {
    pathAndQuery: '/x?y=REDACTED',
    path: '/x',
    query: 'y=REDACTED',
    authority: 'h:1',
  });
  assert.equal(splitTarget('GET', 'http://h', allowed).path, '/');
  assert.equal(splitTarget('OPTIONS', '*', allowed).path, '*');
  assert.equal(splitTarget('GET', '/r?to=http://x', allowed).authority, '');
  assert.equal(splitTarget('CONNECT', 'db:5432', allowed).path, '');
});

test('authorities are split into host and port', () => {
  assert.deepEqual(splitAuthority('payments:8080'), { host: 'payments', port: 8080 });
  assert.deepEqual(splitAuthority('payments'), { host: 'payments', port: 0 });
  assert.deepEqual(splitAuthority('[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(splitAuthority('[::1]'), { host: '::1', port: 0 });
  assert.deepEqual(splitAuthority('x:port'), { host: 'x:port', port: 0 });
});
