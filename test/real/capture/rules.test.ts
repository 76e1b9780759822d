// Promise: the rules capture what they were told to and nothing else, can be applied again, and leave nothing behind.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noNamespaces } from '../../support/network-namespace.ts';
import { applyRules, capture, iptables, settles, startPodSidecar } from './support/captured-pod.ts';
import { createNetwork, type Pod } from './support/network.ts';
import { createPair, get, noSpans, tracedCalls } from './support/pair.ts';

const inNamespaces = { skip: noNamespaces };

/** All rules, chains, marks and routes of a pod, both families, without the counters. */
async function everyRule(pod: Pod): Promise<string> {
  const tables = ['nat', 'mangle', 'filter', 'raw'];
  const commands = ['iptables', 'ip6tables'].flatMap((program) => tables.map((table) => [program, '-t', table, '-S']));
  const routing = ['-4', '-6'].flatMap((family) => [
    ['ip', family, 'rule'],
    ['ip', family, 'route', 'show', 'table', '133'],
  ]);
  // A table of routes that has none is told by an error.
  const outputs = await Promise.all(
    [...commands, ...routing].map(async (command) => {
      const { stdout } = await pod.namespace.attempt(...command);
      return `${command.join(' ')}\n${stdout}`;
    }),
  );
  return outputs.join('');
}

test('inbound ports of -d pass untraced and untouched, the others are traced', inNamespaces, async (t) => {
  const network = await createNetwork(t);
  const client = await network.addPod('client');
  const server = await network.addPod('server');
  for (const port of [8080, 9090]) await server.ask('serveHttp', { port });
  const captured = await capture(t, network, server, { rules: ['-d', '15090,15021,15020,9090'] });
  for (const host of [server.v4, server.v6]) {
    const seen = await get(client, host, 9090);
    assert.deepEqual(seen.headers, { host: `${host.includes(':') ? `[${host}]` : host}:9090`, connection: 'close' });
    assert.equal(seen.client, host === server.v4 ? client.v4 : client.v6);
    assert.ok((await get(client, host, 8080)).headers.traceparent);
  }
  const spans = await network.received(2);
  assert.deepEqual(
    spans.map(({ kind }) => kind),
    ['SERVER', 'SERVER'],
  );
  await settles(captured, 'tracecar_connections_accepted_total', {}, 2);
});

for (const [flag, what] of [
  ['-o', 'outbound ports'],
  ['-x', 'outbound networks'],
] as const) {
  test(`${what} of ${flag} pass untraced and untouched, the others are traced`, inNamespaces, async (t) => {
    const network = await createNetwork(t);
    const client = await network.addPod('client');
    const left = await network.addPod('left');
    const traced = await network.addPod('traced');
    await left.ask('serveHttp', { port: 9090 });
    await traced.ask('serveHttp', { port: 8080 });
    const rules = flag === '-o' ? ['-o', '9090'] : ['-x', `${left.v4}/32,${left.v6}/128`];
    const captured = await capture(t, network, client, { rules });
    for (const family of ['v4', 'v6'] as const) {
      assert.equal((await get(client, left[family], 9090)).headers.traceparent, undefined);
      assert.ok((await get(client, traced[family], 8080)).headers.traceparent);
    }
    const spans = await network.received(2);
    assert.deepEqual(
      spans.map(({ attributes }) => attributes.upstream_cluster),
      [`outbound|8080||${traced.v4}`, `outbound|8080||${traced.v6}`],
    );
    await settles(captured, 'tracecar_connections_accepted_total', {}, 2);
  });
}

for (const mode of ['redirect', 'tproxy'] as const) {
  for (const chains of ['tracecar', 'istio'] as const) {
    test(
      `${mode}, ${chains}: apply twice is apply once, and clean leaves what was there before`,
      inNamespaces,
      async (t) => {
        const network = await createNetwork(t);
        const pod = await network.addPod('pod');
        // Somebody else's, which must stay.
        await pod.namespace.run('iptables', '-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '--dport', '7', '-j', 'RETURN');
        await iptables(pod, 'clean', '--iptables', chains);
        const before = await everyRule(pod);
        await applyRules(pod, { mode, chains });
        const once = await everyRule(pod);
        assert.notEqual(once, before);
        await applyRules(pod, { mode, chains });
        assert.equal(await everyRule(pod), once);
        const { code, stderr } = await iptables(pod, 'clean', '--iptables', chains);
        assert.equal(code, 0, stderr);
        assert.equal(await everyRule(pod), before);
      },
    );
  }
}

test(
  'after clean traffic goes direct, and is captured again when the rules are applied again',
  inNamespaces,
  async (t) => {
    const pair = await createPair(t);
    const { network, client, server } = pair;
    await get(client.pod, server.pod.v4, 8080);
    await tracedCalls(network);
    for (const { pod } of [client, server]) assert.equal((await iptables(pod, 'clean')).code, 0);
    for (const family of ['v4', 'v6'] as const) {
      const seen = await get(client.pod, server.pod[family], 8080);
      assert.deepEqual([seen.client, seen.headers.traceparent], [client.pod[family], undefined]);
    }
    for (const { pod } of [client, server]) await applyRules(pod);
    await get(client.pod, server.pod.v6, 8080);
    await tracedCalls(network, 2);
  },
);

test('rules and sidecar can both be restarted, in whatever order', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t);
  await get(client.pod, server.pod.v4, 8080);
  await tracedCalls(network);
  // The container is started again: its init container has run before, and runs again.
  assert.deepEqual(await server.sidecar.stop(), { code: 0, signal: null });
  const refused = await client.pod.ask('get', { url: `http://${server.pod.v4}:8080/` });
  assert.ok(refused.error !== undefined, 'rules stay when the sidecar goes, so that nothing passes unseen');
  await applyRules(server.pod);
  const second = await startPodSidecar(t, network, server.pod);
  await get(client.pod, server.pod.v4, 8080);
  assert.deepEqual(await second.stop(), { code: 0, signal: null });
  await startPodSidecar(t, network, server.pod);
  await applyRules(server.pod);
  await get(client.pod, server.pod.v6, 8080);
  await network.received(3, ({ kind }) => kind === 'SERVER');
});

test('what is not TCP passes: UDP both ways, and what ICMP says', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t);
  await server.pod.ask('serveUdp', { port: 5353 });
  for (const family of ['v4', 'v6'] as const) {
    const host = server.pod[family];
    const answer = await client.pod.ask('exchangeUdp', { host, port: 5353, text: 'hello' });
    assert.equal(answer, `${client.pod[family]} hello`);
    assert.equal(await client.pod.ask('exchangeUdp', { host, port: 5354, text: 'anybody?' }), 'ECONNREFUSED');
  }
  for (const captured of [client, server]) await settles(captured, 'tracecar_connections_accepted_total', {}, 0);
  await noSpans(network);
});
