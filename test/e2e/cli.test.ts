// Promise: bad usage is exit 2 and exactly one line that says what and where; help is exit 0.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { addressFlags } from '../support/collector.ts';
import { runProgram } from '../support/programs.ts';

const inbound = ['--inbound', '127.0.0.1:0=127.0.0.1:1'];
const free = ['--admin', '127.0.0.1:0'];

/** Arguments that cannot be used, and what the one line must name. */
const unusable: [string, readonly string[], RegExp][] = [
  ['an unknown command', ['fly'], /fly/],
  ['an unknown flag of sidecar', ['sidecar', '--wings'], /--wings/],
  ['an unknown flag of collector', ['collector', '--wings'], /--wings/],
  ['an unknown flag of demo', ['demo', '--wings'], /--wings/],
  ['an unknown flag of doctor', ['doctor', '--wings'], /--wings/],
  ['a stray argument', ['demo', 'extra'], /argument/],
  ['a flag without its value', ['sidecar', '--service'], /--service/],
  ['a listen pair without target', ['sidecar', ...free, '--inbound', '15006'], /--inbound.*15006/],
  ['a target that is no address', ['sidecar', ...free, '--inbound', '127.0.0.1:0=nowhere'], /nowhere/],
  ['a port over 65535', ['sidecar', ...free, '--inbound', '70000=127.0.0.1:1'], /70000/],
  ['an admin address that is none', ['sidecar', ...inbound, '--admin', 'x:y'], /--admin.*x:y/],
  ['a protocol that is none', ['sidecar', ...free, ...inbound, '--otlp-protocol', 'smoke'], /--otlp-protocol.*smoke/],
  ['an endpoint that is no URL', ['sidecar', ...free, ...inbound, '--otlp-endpoint', '::'], /--otlp-endpoint/],
  ['a rate over 100', ['sidecar', ...free, ...inbound, '--sampling-random', '101'], /--sampling-random.*101/],
  [
    'a rate that is no number',
    ['sidecar', ...free, ...inbound, '--sampling-overall', 'half'],
    /--sampling-overall.*half/,
  ],
  ['an unknown propagator', ['sidecar', ...free, ...inbound, '--propagators', 'smoke'], /--propagators.*smoke/],
  ['a duration that is none', ['sidecar', ...free, ...inbound, '--drain-timeout', 'soon'], /--drain-timeout.*soon/],
  ['a tag that is none', ['sidecar', ...free, ...inbound, '--tag', 'x=fish:y'], /--tag.*fish/],
  ['a configuration file that is not there', ['sidecar', '--config', '/no/such.yaml'], /\/no\/such\.yaml/],
  ['a log level that is none', ['sidecar', ...free, ...inbound, '--log-level', 'loud'], /--log-level.*loud/],
  ['a backend that is no URL', ['collector', ...addressFlags(), '--zipkin', 'nowhere'], /--zipkin.*nowhere/],
  ['a Jaeger that is no URL', ['collector', ...addressFlags(), '--jaeger', 'http://'], /--jaeger/],
  ['a receiver address that is none', ['collector', '--otlp-http', 'x:y'], /--otlp-http.*x:y/],
  ['a demo port that is none', ['demo', '--port', 'x'], /--port.*x/],
  ['a demo backend that is no URL', ['demo', '--port', '0', '--jaeger', 'nowhere'], /--jaeger.*nowhere/],
  ['a spans file that cannot be written', ['demo', '--once', '--spans', '/no/such/file'], /--spans.*\/no\/such/],
  ['--json without --once', ['demo', '--json'], /--once/],
  ['a doctor address that is none', ['doctor', '--sidecar', 'x:y'], /--sidecar.*x:y/],
  ['a doctor URL that is none', ['doctor', '--via', 'nowhere'], /--via.*nowhere/],
];

function assertOneLine(stderr: string, names: RegExp) {
  assert.match(stderr, /^tracecar: .+\n$/);
  assert.equal(stderr.split('\n').length, 2, `more than one line: ${stderr}`);
  assert.match(stderr, names);
}

for (const [what, args, names] of unusable) {
  test(`${what} is exit 2 and one line`, async () => {
    const { code, stdout, stderr } = await runProgram(args);
    assert.equal(code, 2, stderr);
    assertOneLine(stderr, names);
    assert.equal(stdout, '');
  });
}

test('an unknown key in the configuration file is exit 2 and names the key', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'tracecar-'));
  t.after(() => rm(folder, { recursive: true }));
  for (const [text, names] of [
    ['servcie: shop\n', /servcie/],
    ['service: [unclosed\n', /sidecar\.yaml/],
  ] as const) {
    const file = path.join(folder, 'sidecar.yaml');
    await writeFile(file, text);
    const { code, stderr } = await runProgram(['sidecar', '--config', file, ...free, ...inbound]);
    assert.equal(code, 2, stderr);
    assertOneLine(stderr, names);
  }
});

test('a port that is taken is exit 2 and one line, whoever asks for it', async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const taken = `127.0.0.1:${port}`;
  for (const args of [
    ['sidecar', ...free, '--inbound', `${taken}=127.0.0.1:1`],
    ['sidecar', ...free, '--outbound', `${taken}=127.0.0.1:1`],
    ['sidecar', ...inbound, '--admin', taken],
    ['collector', ...addressFlags({ otlpHttp: taken })],
    ['collector', ...addressFlags({ otlpGrpc: taken })],
    ['collector', ...addressFlags({ viewer: taken })],
    ['collector', ...addressFlags({ metrics: taken })],
    ['demo', '--port', String(port)],
    ['demo', '--once', '--port', String(port)],
  ]) {
    const { code, stderr } = await runProgram(args);
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`);
    assertOneLine(stderr, new RegExp(String(port)));
  }
});

test('help and version are exit 0 on stdout', async () => {
  for (const args of [['help'], ['--help'], []]) {
    const { code, stdout, stderr } = await runProgram(args);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /sidecar.*\n.*collector/);
  }
  const version = await runProgram(['version']);
  assert.equal(version.code, 0);
  assert.match(version.stdout, /^tracecar \d+\.\d+\.\d+\n$/);
});

for (const command of ['sidecar', 'collector', 'demo', 'doctor']) {
  test(`${command} --help lists its flags and is exit 0`, async () => {
    const { code, stdout, stderr } = await runProgram([command, '--help']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, new RegExp(`^Usage: tracecar ${command}`));
    assert.match(stdout, /--[a-z-]+ /);
  });
}
