import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { UsageError } from '../../src/runtime/usage-error.ts';
import { dumpConfig } from '../../src/sidecar/config-dump.ts';
import { loadConfig } from '../../src/sidecar/load-config.ts';
import type { FlagValues } from '../../src/sidecar/options.ts';

const inbound = { inbound: ['15006=127.0.0.1:8080'] };

function withFile<T>(content: string, use: (file: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), 'tracecar-'));
  const file = path.join(folder, 'sidecar.yaml');
  writeFileSync(file, content);
  try {
    return use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('defaults are those of the contract', () => {
  const { config, origins } = loadConfig(inbound, {});
  assert.deepEqual(config.inbound, [
    { listen: { host: '127.0.0.1', port: 15006 }, target: { host: '127.0.0.1', port: 8080 } },
  ]);
  assert.deepEqual(config.sampling, { clientPercent: 100, randomPercent: 100, overallPercent: 100 });
  assert.deepEqual(config.propagators, ['tracecontext', 'b3multi']);
  assert.deepEqual(
    [config.exporter.endpoint, config.exporter.protocol, config.requestId, config.spanAttributes],
    ['http://127.0.0.1:4317', 'grpc', 'generate', 'both'],
  );
  assert.deepEqual(
    [
      config.maxAddedHeadBytes,
      config.connectTimeoutMs,
      config.drainTimeoutMs,
      config.maxPathTagLength,
      config.admin.port,
    ],
    [8192, 10_000, 25_000, 256, 15_000],
  );
  assert.deepEqual([...origins], [['inbound', 'flag']]);
});

test('flags beat environment, environment beats file, and the dump says which', () => {
  withFile('service: from-file\nsampling-random: 7\nspan-attributes: envoy\n', (file) => {
    const environment = {
      OTEL_SERVICE_NAME: 'from-env',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    };
    const { config, origins } = loadConfig({ ...inbound, config: file }, environment);
    assert.deepEqual([config.service, config.sampling.randomPercent, config.spanAttributes], ['from-env', 25, 'envoy']);
    const flags = loadConfig({ ...inbound, config: file, service: 'from-flag', 'sampling-random': '3' }, environment);
    assert.deepEqual([flags.config.service, flags.config.sampling.randomPercent], ['from-flag', 3]);
    const dump = dumpConfig(config, origins, { inbound: ['127.0.0.1:1=x:2'], outbound: [] });
    assert.deepEqual(dump.service, { value: 'from-env', origin: 'environment' });
    assert.deepEqual(dump['span-attributes'], { value: 'envoy', origin: 'file' });
    assert.deepEqual(dump.inbound, { value: ['127.0.0.1:1=x:2'], origin: 'flag' });
    assert.equal(dump['request-id']?.origin, 'default');
  });
});

test('lists and maps are read from the environment as OpenTelemetry writes them', () => {
  const { config, origins } = loadConfig(inbound, {
    OTEL_RESOURCE_ATTRIBUTES: 'team=shop, note=a%2Cb',
    OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Bearer%20x',
    OTEL_PROPAGATORS: 'b3,baggage,jaeger',
    OTEL_BSP_MAX_QUEUE_SIZE: '17',
  });
  assert.deepEqual(
    [...config.resource],
    [
      ['team', 'shop'],
      ['note', 'a,b'],
    ],
  );
  assert.deepEqual(config.exporter.headers, { authorization: 'Bearer x' });
  assert.deepEqual(config.propagators, ['b3', 'jaeger']);
  assert.equal(config.exporter.maxQueueSize, 17);
  const dump = dumpConfig(config, origins, { inbound: [], outbound: [] });
  assert.deepEqual(dump['otlp-headers'], { value: { authorization: '***' }, origin: 'environment' });
});

test('IPv6 and ports alone are addresses', () => {
  const { config } = loadConfig({ inbound: ['[::1]:1=[::1]:2', ':3=payments:4'] }, {});
  assert.deepEqual(
    config.inbound.map(({ listen, target }) => [listen.host, listen.port, target.host, target.port]),
    [
      ['::1', 1, '::1', 2],
      ['127.0.0.1', 3, 'payments', 4],
    ],
  );
});

const mistakes: readonly (readonly [FlagValues, RegExp])[] = [
  [{}, /nothing to listen on/],
  [{ inbound: ['8080'] }, /^--inbound: "8080" is not LISTEN=TARGET/],
  [{ inbound: ['1=x'] }, /^--inbound: "x" is not an address/],
  [{ inbound: ['1=x:0'] }, /the target needs a port/],
  [{ inbound: ['70000=x:1'] }, /"70000" is not an address/],
  [{ ...inbound, capture: 'divert' }, /^--capture: "divert" is not one of none, redirect, tproxy/],
  [{ capture: 'redirect', iptables: 'cilium' }, /^--iptables: "cilium" is not one of tracecar, istio/],
  [{ capture: 'redirect', 'inbound-capture-port': 'http' }, /^--inbound-capture-port: "http" is not a whole number/],
  [{ ...inbound, iptables: 'istio' }, /^--iptables: means nothing without --capture redirect or --capture tproxy/],
  [{ ...inbound, 'outbound-capture-port': '15001' }, /^--outbound-capture-port: means nothing without --capture/],
  [{ ...inbound, 'sampling-random': '101' }, /^--sampling-random: "101" is not a percentage/],
  [{ ...inbound, 'sampling-client': 'x' }, /^--sampling-client/],
  [{ ...inbound, 'otlp-protocol': 'http/json' }, /^--otlp-protocol: "http\/json" is not one of grpc, http\/protobuf/],
  [{ ...inbound, 'otlp-endpoint': 'collector:4317' }, /^--otlp-endpoint: "collector:4317" is not an http/],
  [{ ...inbound, propagators: 'w3c' }, /^--propagators: "w3c" is not one of/],
  [{ ...inbound, tag: ['x'] }, /^--tag: "x" is not NAME=/],
  [{ ...inbound, 'connect-timeout': '10' }, /^--connect-timeout: "10" is not a duration/],
  [{ ...inbound, 'max-added-head': '-1' }, /^--max-added-head: "-1" is not a whole number/],
  [{ ...inbound, resource: ['x'] }, /^--resource: "x" is not key=value/],
  [{ ...inbound, admin: 'nowhere' }, /^--admin: "nowhere" is not an address/],
  [{ ...inbound, config: '/nonexistent/file.yaml' }, /^--config \/nonexistent\/file.yaml: ENOENT/],
];

for (const [flags, message] of mistakes) {
  test(`${JSON.stringify(flags)} is a usage error`, () => {
    assert.throws(
      () => loadConfig(flags, {}),
      (error) => error instanceof UsageError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}

test('mistakes of the environment and the file name their place', () => {
  assert.throws(() => loadConfig(inbound, { OTEL_TRACES_SAMPLER: 'xray' }), /^UsageError: OTEL_TRACES_SAMPLER: "xray"/);
  assert.throws(
    () => loadConfig(inbound, { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }),
    /OTEL_TRACES_SAMPLER_ARG: "2" is not a share/,
  );
  assert.throws(() => loadConfig(inbound, { OTEL_PROPAGATORS: 'nope' }), /OTEL_PROPAGATORS: "nope"/);
  withFile('servce: x\n', (file) => {
    assert.throws(() => loadConfig({ ...inbound, config: file }, {}), /unknown key "servce"; the keys are/);
  });
  withFile('request-id: sometimes\n', (file) => {
    assert.throws(
      () => loadConfig({ ...inbound, config: file }, {}),
      (error: Error) => error.message.startsWith(`${file}: request-id: "sometimes"`),
    );
  });
  withFile('- a\n', (file) =>
    assert.throws(() => loadConfig({ ...inbound, config: file }, {}), /expected keys and values/),
  );
});
