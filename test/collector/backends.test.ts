import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOtlpEndpoint, parseZipkinUrl } from '../../src/collector/backends.ts';
import { UsageError } from '../../src/runtime/usage-error.ts';

const otlp = (url: string) => parseOtlpEndpoint({ kind: 'jaeger', url });
const zipkin = (url: string) => parseZipkinUrl({ kind: 'zipkin', url });

test('an HTTP address means /v1/traces there, a whole URL itself', () => {
  assert.deepEqual(otlp('http://jaeger:4318'), { protocol: 'http', url: 'http://jaeger:4318/v1/traces' });
  assert.deepEqual(otlp('https://tempo.example/'), { protocol: 'http', url: 'https://tempo.example/v1/traces' });
  assert.deepEqual(otlp('http://x:4318/otlp/v1/traces?a=b'), {
    protocol: 'http',
    url: 'http://x:4318/otlp/v1/traces?a=b',
  });
});

test('gRPC by scheme, by bare address, and by its well-known port', () => {
  assert.deepEqual(otlp('grpc://jaeger:14317'), { protocol: 'grpc', url: 'http://jaeger:14317' });
  assert.deepEqual(otlp('grpcs://jaeger:443'), { protocol: 'grpc', url: 'https://jaeger:443' });
  assert.deepEqual(otlp('jaeger:14317'), { protocol: 'grpc', url: 'http://jaeger:14317' });
  assert.deepEqual(otlp('[::1]:14317'), { protocol: 'grpc', url: 'http://[::1]:14317' });
  assert.deepEqual(otlp('http://jaeger:4317'), { protocol: 'grpc', url: 'http://jaeger:4317' });
  assert.deepEqual(otlp('https://jaeger:4317'), { protocol: 'grpc', url: 'https://jaeger:4317' });
  assert.deepEqual(otlp('http://jaeger:4317/v1/traces'), { protocol: 'http', url: 'http://jaeger:4317/v1/traces' });
});

test('a Zipkin address means /api/v2/spans there, a whole URL itself', () => {
  assert.equal(zipkin('http://zipkin:9411'), 'http://zipkin:9411/api/v2/spans');
  assert.equal(zipkin('http://zipkin:9411/'), 'http://zipkin:9411/api/v2/spans');
  assert.equal(zipkin('https://z.example/zipkin/api/v2/spans'), 'https://z.example/zipkin/api/v2/spans');
});

test('anything else is one line that names the flag', () => {
  for (const url of ['', 'jaeger', 'ftp://jaeger:1', 'http://', 'grpc://jaeger', '/v1/traces', 'jaeger:99999999']) {
    assert.throws(
      () => otlp(url),
      (error) =>
        error instanceof UsageError && /^--jaeger: [^\n]*write http:\/\/HOST:PORT or grpc:/.test(error.message),
      url,
    );
  }
  for (const url of ['zipkin:9411', 'grpc://zipkin:9411', 'nothing']) {
    assert.throws(
      () => zipkin(url),
      (error) => error instanceof UsageError && /^--zipkin: [^\n]*write http:\/\/HOST:PORT$/.test(error.message),
      url,
    );
  }
});
