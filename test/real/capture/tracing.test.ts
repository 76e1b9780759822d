// Promise: captured on both sides and told no address, two sidecars make one trace of a call, whatever way it takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noNamespaces } from '../../support/network-namespace.ts';
import { capture, settles } from './support/captured-pod.ts';
import { createNetwork } from './support/network.ts';
import { createPair, get, tracedCalls } from './support/pair.ts';

const inNamespaces = { skip: noNamespaces };

for (const family of ['v4', 'v6'] as const) {
  test(`a call over IP${family} is a CLIENT span and a SERVER span below it`, inNamespaces, async (t) => {
    const { network, client, server } = await createPair(t);
    const seen = await get(client.pod, server.pod[family], 8080);
    const [pair] = await tracedCalls(network);
    assert.deepEqual([pair!.client.service, pair!.server.service], ['client', 'server']);
    assert.equal(seen.headers.traceparent, `00-${pair!.server.traceId}-${pair!.server.spanId}-01`);
    assert.equal(pair!.client.attributes.upstream_cluster, `outbound|8080||${server.pod[family]}`);
    assert.equal(pair!.server.attributes.upstream_cluster, 'inbound|8080||');
    assert.equal(pair!.server.attributes['client.address'], client.pod[family]);
  });
}

test('one pod serves and calls over both families at the same time', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t);
  await Promise.all(
    [server.pod.v4, server.pod.v6, server.pod.v4, server.pod.v6].map((host) => get(client.pod, host, 8080)),
  );
  const pairs = await tracedCalls(network, 4);
  const addresses = pairs.map((pair) => pair.server.attributes['client.address']).sort();
  assert.deepEqual(addresses, [client.pod.v4, client.pod.v4, client.pod.v6, client.pod.v6]);
});

test('a call to a service address is traced as one to the pod behind it', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t);
  const service = await network.addService(server.pod, 8080);
  for (const host of [service.v4, service.v6]) await get(client.pod, host);
  const pairs = await tracedCalls(network, 2);
  assert.deepEqual(
    pairs.map((pair) => pair.client.attributes.upstream_cluster),
    [`outbound|80||${service.v4}`, `outbound|80||${service.v6}`],
  );
});

for (const family of ['v4', 'v6'] as const) {
  test(
    `a pod that calls itself by its IP${family} service address is traced once out and once in`,
    inNamespaces,
    async (t) => {
      const network = await createNetwork(t);
      const pod = await network.addPod('self');
      await pod.ask('serveHttp', { port: 8080 });
      const service = await network.addService(pod, 8080);
      const self = await capture(t, network, pod);
      await get(pod, service[family]);
      await tracedCalls(network);
      await settles(self, 'tracecar_connections_accepted_total', { direction: 'inbound' }, 1);
      await settles(self, 'tracecar_connections_accepted_total', { direction: 'outbound' }, 1);
    },
  );

  test(
    `a pod that calls its own IP${family} address is answered, and goes round in no circle`,
    inNamespaces,
    async (t) => {
      const network = await createNetwork(t);
      const pod = await network.addPod('self');
      await pod.ask('serveHttp', { port: 8080 });
      const self = await capture(t, network, pod);
      for (let i = 0; i < 3; i++) await get(pod, pod[family], 8080);
      const accepted = await self.count('tracecar_connections_accepted_total');
      assert.ok(accepted <= 6, `${accepted} connections for 3 calls`);
    },
  );
}

test('localhost is left alone', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t);
  await client.pod.ask('serveHttp', { port: 9000 });
  for (const host of ['127.0.0.1', '::1']) {
    assert.equal((await get(client.pod, host, 9000)).headers.traceparent, undefined);
  }
  await get(client.pod, server.pod.v4, 8080);
  await tracedCalls(network);
});
