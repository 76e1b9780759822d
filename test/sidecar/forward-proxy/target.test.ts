// Where a request to the proxy wants to go, and what names no place.
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseAbsoluteForm, parseAuthorityForm } from '../../../src/sidecar/forward-proxy/target.ts';

const at = (host: string, port: number, authority: string, originForm: string) => ({
  address: { host, port },
  authority,
  originForm,
});

test('an absolute-form target gives address, Host and origin-form', () => {
  const cases: [string, string, ReturnType<typeof at>][] = [
    ['GET', 'http://h/p?q=1', at('h', 80, 'h', '/p?q=1')],
    ['GET', 'http://H.Example:8080/', at('h.example', 8080, 'H.Example:8080', '/')],
    ['GET', 'HTTP://h', at('h', 80, 'h', '/')],
    ['GET', 'http://h?x=http://other/@', at('h', 80, 'h', '/?x=http://other/@')],
    ['GET', 'http://h:/x', at('h', 80, 'h', '/x')],
    ['GET', 'http://user:pass@h:81/x', at('h', 81, 'h:81', '/x')],
    ['GET', 'http://10.0.0.1:81/a@b', at('10.0.0.1', 81, '10.0.0.1:81', '/a@b')],
    ['GET', 'http://[::1]:81/x', at('::1', 81, '[::1]:81', '/x')],
    ['GET', 'http://[fe80::1%25eth0]/x', at('fe80::1%eth0', 80, '[fe80::1%25eth0]', '/x')],
    ['OPTIONS', 'http://h:81', at('h', 81, 'h:81', '*')],
    ['OPTIONS', 'http://h:81/', at('h', 81, 'h:81', '/')],
    ['GET', 'http://under_score.svc/x', at('under_score.svc', 80, 'under_score.svc', '/x')],
  ];
  for (const [method, target, expected] of cases) assert.deepEqual(parseAbsoluteForm(method, target), expected, target);
});

test('a target that names no place is told apart by why', () => {
  for (const target of ['/x', '*', 'h:80', 'x', '//h/x', 'mailto:x']) {
    assert.equal(parseAbsoluteForm('GET', target), 'not_a_proxy_request', target);
  }
  for (const target of ['https://h/', 'ftp://h/x', 'ws://h/']) {
    assert.equal(parseAbsoluteForm('GET', target), 'unsupported_scheme', target);
  }
  const none = ['http://', 'http:///x', 'http://h:0/', 'http://h:65536/', 'http://h:99999999/', 'http://h:8x/'];
  const bad = [
    'http://[::1/',
    'http://::1/',
    'http://[x]/',
    'http://h h/',
    'http://h\xe9/',
    'http://@/',
    'http://a:b:80/',
  ];
  for (const target of [...none, ...bad]) assert.equal(parseAbsoluteForm('GET', target), 'bad_authority', target);
});

test("CONNECT's target is a host and a port, and both are needed", () => {
  assert.deepEqual(parseAuthorityForm('h.example:443'), at('h.example', 443, 'h.example:443', 'h.example:443'));
  assert.deepEqual(
    parseAuthorityForm('[2001:db8::1]:443'),
    at('2001:db8::1', 443, '[2001:db8::1]:443', '[2001:db8::1]:443'),
  );
  for (const target of ['h', 'h:', 'h:0', ':443', '[::1]', 'http://h:443', 'h:443/', 'a@h:443', '/']) {
    assert.equal(parseAuthorityForm(target), 'bad_authority', target);
  }
});
