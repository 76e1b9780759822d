// What the environment of `tracecar run` tells a command about its proxy, and what it leaves as it was.
import assert from 'node:assert/strict';
import test from 'node:test';
import { proxiedEnvironment } from '../../../src/cli/run/environment.ts';

const proxy = { host: '127.0.0.1', port: 3128 };
const collector = 'http://127.0.0.1:4317';
const url = 'http://127.0.0.1:3128';

test('every variable that HTTP clients read names the proxy; the rest stays, but for what is ours', () => {
  const user = { PATH: '/bin', OTEL_SERVICE_NAME: 'x', TRACECAR_WORKER: '{}', HTTP_PROXY: 'http://old:1' };
  assert.deepEqual(proxiedEnvironment(user, proxy, collector), {
    PATH: '/bin',
    OTEL_SERVICE_NAME: 'x',
    HTTP_PROXY: url,
    http_proxy: url,
    HTTPS_PROXY: url,
    https_proxy: url,
    NO_PROXY: '127.0.0.1:4317',
    no_proxy: '127.0.0.1:4317',
    NODE_USE_ENV_PROXY: '1',
    JAVA_TOOL_OPTIONS:
      '-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=3128 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=3128 -Dhttp.nonProxyHosts=',
  });
});

test('exceptions of the user are kept, and said to Java in its own way', () => {
  const user = { no_proxy: 'db, .corp.example,10.0.0.0/8,x:81,10.1.2.3', JAVA_TOOL_OPTIONS: '-Xmx1g' };
  const found = proxiedEnvironment(user, proxy, 'https://otel.example/v1/traces');
  assert.equal(found.NO_PROXY, 'db,.corp.example,10.0.0.0/8,x:81,10.1.2.3,otel.example:443');
  assert.equal(found.no_proxy, found.NO_PROXY);
  assert.match(
    found.JAVA_TOOL_OPTIONS ?? '',
    /^-Xmx1g .*-Dhttp\.nonProxyHosts=db\|\*\.db\|\*\.corp\.example\|10\.1\.2\.3$/,
  );
});

test('who wants no proxy at all gets none, and a choice made for Node stands', () => {
  const found = proxiedEnvironment({ NO_PROXY: '*', NODE_USE_ENV_PROXY: '0' }, proxy, collector);
  assert.equal(found.NO_PROXY, '*');
  assert.equal(found.NODE_USE_ENV_PROXY, '0');
  assert.match(found.JAVA_TOOL_OPTIONS ?? '', /nonProxyHosts=\*$/);
});

test('an IPv6 proxy is written with brackets in URLs', () => {
  assert.equal(proxiedEnvironment({}, { host: '::1', port: 1 }, collector).HTTP_PROXY, 'http://[::1]:1');
});
