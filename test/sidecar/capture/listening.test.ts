// Capture without any rules: who connects to its ports is not let in, and what it needs and has not is said in one line.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fetchText } from '../../../src/cli/demo/fetch-text.ts';
import { parseMetrics, sumOf } from '../../../src/cli/demo/metrics-text.ts';
import { loadSocketCalls } from '../../../src/runtime/socket/socket-calls.ts';
import { eventually } from '../../support/eventually.ts';
import { type Program, runProgram, startProgram } from '../../support/programs.ts';
import { connectRaw, startRawServer } from '../../support/raw-tcp.ts';

const isLinux = process.platform === 'linux';
const skip = findObstacle();

function findObstacle(): string | false {
  if (!isLinux) return 'capture needs Linux';
  try {
    loadSocketCalls();
    return false;
  } catch {
    return 'koffi is not installed';
  }
}

const anyPorts = ['--inbound-capture-port', '0', '--outbound-capture-port', '0', '--admin', '127.0.0.1:0'];

function portsOf({ listening }: Program): { readonly inbound: number; readonly outbound: number } {
  const captured = listening.captured as Record<'inbound' | 'outbound', readonly string[]>;
  const port = (text = '') => Number(/:(\d+)$/.exec(text)?.[1]);
  return { inbound: port(captured.inbound[0]), outbound: port(captured.outbound[0]) };
}

for (const workers of ['1', '2']) {
  test(`a connection that no rule has led here is reset and counted, with ${workers} of the workers`, {
    skip,
  }, async (t) => {
    const args = ['sidecar', '--capture', 'redirect', ...anyPorts, '--concurrency', workers];
    const sidecar = await startProgram(t, args);
    const admin = String(sidecar.listening.admin);
    const { inbound, outbound } = portsOf(sidecar);
    for (const port of [inbound, outbound]) {
      const client = await connectRaw(t, port).catch((error: NodeJS.ErrnoException) => error.code);
      assert.equal(typeof client === 'string' ? client : await client?.closed, 'ECONNRESET');
    }
    const metrics = parseMetrics((await fetchText(`http://${admin}/metrics`)).body);
    for (const direction of ['inbound', 'outbound']) {
      const labels = { direction, reason: 'loop' };
      assert.equal(sumOf(metrics, 'tracecar_connections_refused_total', labels), 1);
    }
    assert.equal(sumOf(metrics, 'tracecar_spans_created_total'), 0);
  });
}

test('without rules the sidecar is ready, and says what is not captured: there, in the log and as a metric', {
  skip,
}, async (t) => {
  const sidecar = await startProgram(t, ['sidecar', '--capture', 'redirect', ...anyPorts]);
  const admin = String(sidecar.listening.admin);
  const ready = await fetchText(`http://${admin}/ready`);
  assert.equal(ready.status, 200);
  assert.match(ready.body, /^LIVE\nnot captured: inbound ipv[46]( ipv6)?, outbound ipv[46]( ipv6)?\n$/);
  const warned = await eventually('a warning', () => sidecar.stderr.find((line) => line.includes('not captured')));
  assert.match(warned, /"level":40/);
  assert.match(warned, /tracecar iptables apply/);
  const { captured } = JSON.parse((await fetchText(`http://${admin}/config_dump`)).body);
  assert.deepEqual(captured.value.captured, []);
  assert.ok(captured.value.not_captured.length >= 2);
  const { body } = await fetchText(`http://${admin}/metrics`);
  assert.match(body, /^tracecar_captured\{direction="outbound",family="ipv\d"\} 0$/m);
});

test('pairs work beside capture, and a connection to one of them is no loop', { skip }, async (t) => {
  const server = await startRawServer(t, { onData: ({ socket }) => void socket.write('heard') });
  const pair = ['--inbound', `127.0.0.1:0=127.0.0.1:${server.port}`];
  const sidecar = await startProgram(t, ['sidecar', '--capture', 'redirect', ...anyPorts, ...pair]);
  const port = Number(/:(\d+)=/.exec(String(sidecar.listening.inbound))?.[1]);
  const client = await connectRaw(t, port);
  client.socket.write('PING\r\n');
  assert.equal((await client.readUntil('heard')).toString(), 'heard');
});

test('a capture port that is taken is one line and exit 2, naming the flag', { skip }, async (t) => {
  const server = await startRawServer(t, {});
  const ports = ['--inbound-capture-port', '0', '--outbound-capture-port', String(server.port)];
  const args = ['sidecar', '--capture', 'redirect', ...ports, '--admin', '127.0.0.1:0'];
  const { code, stderr } = await runProgram(args);
  assert.equal(code, 2);
  assert.match(stderr, /^tracecar: --outbound-capture-port \d+ \(127\.0\.0\.1:\d+\): cannot listen .*taken.*\n$/);
});

test('without koffi capture is one line and exit 2', { skip: !isLinux }, async () => {
  const refuse = `import { Module } from 'node:module';
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name === 'koffi') throw new Error('no build for this platform\\nand more');
      return load(name, ...rest);
    };`;
  const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(refuse)}`, LOG_LEVEL: 'silent' };
  const { code, stderr } = await runProgram(['sidecar', '--capture', 'redirect', ...anyPorts], { env });
  assert.equal(code, 2);
  assert.equal(
    stderr,
    'tracecar: --capture redirect: needs the package koffi, which cannot be loaded: no build for this platform\n',
  );
});

/** Whether this process has a capability, by its number. */
function isCapable(capability: number): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> BigInt(capability)) & 1n) === 1n;
}

const netAdmin = 12;
const dropIt = ['setpriv', '--bounding-set', '-net_admin,-net_raw'];

const cannotDrop = isLinux && isCapable(netAdmin) && spawnSync('setpriv', ['--version']).error !== undefined;

test('tproxy without NET_ADMIN is one line and exit 2', {
  skip: skip || (cannotDrop && 'setpriv is not installed'),
}, async () => {
  const prefix = isCapable(netAdmin) ? dropIt : [];
  const args = ['sidecar', '--capture', 'tproxy', ...anyPorts];
  const { code, stderr } = await runProgram(args, { prefix, env: { LOG_LEVEL: 'silent' } });
  assert.equal(code, 2, stderr);
  assert.match(stderr, /^tracecar: --capture tproxy: needs the capability NET_ADMIN[^\n]*\n$/);
});
