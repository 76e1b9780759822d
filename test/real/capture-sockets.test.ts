// Sockets of capture on a real kernel: where a connection was going, from where it goes on, and that none is left behind.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { parseMetrics, sumOf } from '../../src/cli/demo/metrics-text.ts';
import { eventually } from '../support/eventually.ts';
import {
  connectNamespaces,
  createNamespace,
  type Namespace,
  noNamespaces,
  spawnInside,
} from '../support/network-namespace.ts';
import { type Program, root, startProgram } from '../support/programs.ts';

const podAddresses = ['10.78.0.1', 'fd78::1'];
const clientAddresses = ['10.78.0.2', 'fd78::2'];
const port = 8080;
/** Nobody listens there. */
const deadPort = 8081;
const connections = 2_000;

function program(name: string, ...args: readonly (string | number)[]): string[] {
  const file = path.join(root, 'test', 'real', 'capture-sockets', `${name}.ts`);
  return [process.execPath, '--import', 'tsx', file, ...args.map(String)];
}

interface Mode {
  readonly title: string;
  readonly flags: readonly string[];
  /** Of iptables and ip6tables alike; `LO` stands for the family's own. */
  readonly rules: readonly string[];
  readonly setup?: readonly string[];
  /** Whom the application sees. */
  readonly sees: readonly string[];
}

const redirect = [
  '-t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 15006',
  '-t nat -A OUTPUT -p tcp -d LO --dport 15002 -j REDIRECT --to-ports 15006',
];
/** The sidecar runs as root in these tests, and is exempt by its group. */
const exempt = '-t nat -A OUTPUT -m owner --gid-owner 1337 -j RETURN';

const modes: readonly Mode[] = [
  { title: 'redirect', flags: ['--capture', 'redirect'], rules: [...redirect, exempt], sees: podAddresses },
  {
    title: "redirect by Istio's chains",
    flags: ['--capture', 'redirect', '--iptables', 'istio'],
    rules: [...redirect, exempt],
    setup: ['ip -6 address add ::6/128 dev lo'],
    sees: ['127.0.0.6', '::6'],
  },
  {
    title: 'tproxy',
    flags: ['--capture', 'tproxy'],
    rules: [
      '-t mangle -A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark',
      '-t mangle -A PREROUTING -p tcp -i lo -j RETURN',
      '-t mangle -A PREROUTING -p tcp -j TPROXY --on-port 15006 --tproxy-mark 1337',
      '-t mangle -A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark',
    ],
    setup: ['ip rule add fwmark 1337 lookup 133', 'ip route add local default dev lo table 133'].flatMap((command) => [
      command,
      command.replace('ip ', 'ip -6 '),
    ]),
    sees: clientAddresses,
  },
];

/** Two namespaces on one cable. */
async function createPair(t: TestContext): Promise<{ readonly pod: Namespace; readonly client: Namespace }> {
  const pod = await createNamespace(t, 'pod');
  const client = await createNamespace(t, 'client');
  const end = (namespace: Namespace, [v4, v6]: readonly string[]) => ({
    namespace,
    device: 'eth0',
    addresses: [`${v4}/24`, `${v6}/64`],
  });
  await connectNamespaces(end(pod, podAddresses), end(client, clientAddresses));
  return { pod, client };
}

async function applyRules(pod: Namespace, { rules, setup = [] }: Mode): Promise<void> {
  for (const command of setup) await pod.run(...command.split(' '));
  for (const rule of rules) {
    await pod.run('iptables', ...rule.replace('LO', '127.0.0.1').split(' '));
    await pod.run('ip6tables', ...rule.replace('LO', '::1').split(' '));
  }
}

/** Starts the application, and waits until its port is open. */
async function serve(t: TestContext, pod: Namespace): Promise<void> {
  spawnInside(t, pod, program('serve', port));
  const listening = `:${port.toString(16).toUpperCase()} `;
  await eventually('the server listens', async () => (await pod.run('cat', '/proc/net/tcp6')).includes(listening));
}

async function startSidecar(t: TestContext, pod: Namespace, flags: readonly string[]): Promise<Program> {
  const args = ['sidecar', ...flags, '--otlp-endpoint', 'http://127.0.0.1:1', '--log-level', 'info'];
  return await startProgram(t, args, {}, [...pod.enter, 'setpriv', '--regid', '1337', '--clear-groups']);
}

async function ask(client: Namespace, to: number, count: number): Promise<Record<string, number>> {
  return JSON.parse(await client.run(...program('ask', to, count, ...podAddresses))) as Record<string, number>;
}

async function metricsOf(pod: Namespace) {
  return parseMetrics(await pod.run('curl', '-s', 'http://127.0.0.1:15000/stats/prometheus'));
}

const descriptorsOf = (sidecar: Program) => readdirSync(`/proc/${String(sidecar.listening.pid)}/fd`).length;

for (const mode of modes) {
  test(`${mode.title}: connections go on from where they should, and leave no descriptor behind`, {
    skip: noNamespaces,
    timeout: 240_000,
  }, async (t) => {
    const { pod, client } = await createPair(t);
    await applyRules(pod, mode);
    await serve(t, pod);
    const sidecar = await startSidecar(t, pod, mode.flags);
    const [v4 = '', v6 = ''] = mode.sees;
    assert.deepEqual(await ask(client, port, 100), { [v4]: 50, [v6]: 50 });
    const before = descriptorsOf(sidecar);
    assert.deepEqual(await ask(client, port, connections), { [v4]: connections / 2, [v6]: connections / 2 });
    const refused = await ask(client, deadPort, connections);
    assert.deepEqual(refused, { ECONNRESET: connections });
    await eventually(
      () => `${before} descriptors before, ${descriptorsOf(sidecar)} after`,
      () => Promise.resolve(descriptorsOf(sidecar) <= before),
    );
    const metrics = await metricsOf(pod);
    assert.equal(sumOf(metrics, 'tracecar_requests_total', { response_code: '200' }), connections + 100);
    assert.equal(sumOf(metrics, 'tracecar_connect_failures_total', { reason: 'refused' }), connections);
    assert.equal(sumOf(metrics, 'tracecar_connections_refused_total'), 0);
  });
}

test('a captured connection costs at most 20 µs for its destination, and for a source of its own', {
  skip: noNamespaces,
}, async (t) => {
  const namespace = await createNamespace(t, 'cost');
  for (const iptables of ['iptables', 'ip6tables']) {
    await namespace.run(iptables, ...'-t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 15006'.split(' '));
  }
  const { seen, look, source, cpu, connections: looked } = JSON.parse(await namespace.run(...program('measure', 80)));
  t.diagnostic(`destination: ${look.median.toFixed(1)} µs (median), ${look.mean.toFixed(1)} (mean)`);
  t.diagnostic(
    `socket with a chosen source: ${source.median.toFixed(1)} µs (median), ${source.mean.toFixed(1)} (mean)`,
  );
  t.diagnostic(`CPU of a connection: ${cpu.plain.toFixed(0)} µs, with a chosen source ${cpu.made.toFixed(0)}`);
  assert.equal(looked, connections);
  assert.deepEqual(seen, ['127.0.0.1 80', '::1 80']);
  assert.ok(look.median <= 20, `${look.median} µs`);
  assert.ok(source.median <= 20, `${source.median} µs`);
});

test('the sidecar that the rules do not exempt resets its own connections instead of going round', {
  skip: noNamespaces,
}, async (t) => {
  const { pod } = await createPair(t);
  await pod.run('iptables', ...'-t nat -A OUTPUT -p tcp --dport 8081 -j REDIRECT --to-ports 15001'.split(' '));
  const sidecar = await startSidecar(t, pod, ['--capture', 'redirect']);
  const outcome = JSON.parse(await pod.run(...program('ask', deadPort, 20, clientAddresses[0]!)));
  assert.deepEqual(outcome, { ECONNRESET: 20 });
  const accepted = { direction: 'outbound' };
  const metrics = await metricsOf(pod);
  assert.ok(sumOf(metrics, 'tracecar_connections_refused_total', { ...accepted, reason: 'loop' }) >= 20);
  assert.ok(sumOf(metrics, 'tracecar_connections_accepted_total', accepted) < 200);
  await eventually('a warning', () => Promise.resolve(sidecar.stderr.some((line) => line.includes('(1337)'))));
  assert.equal((await sidecar.stop()).code, 0);
});
