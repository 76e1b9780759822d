// Promise (R3): whom the application sees is as documented: the pod itself, with tproxy the client, with Istio's chains 127.0.0.6.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noNamespaces } from '../../support/network-namespace.ts';
import type { Reached } from './programs/peer.ts';
import { type CaptureOptions, capture } from './support/captured-pod.ts';
import { createNetwork, type Pod } from './support/network.ts';

interface Way {
  readonly name: string;
  readonly options: CaptureOptions;
  /** Whom the server sees over each family. */
  seen(server: Pod, client: Pod): readonly [string, string];
}

const ways: readonly Way[] = [
  { name: 'redirect', options: {}, seen: ({ v4, v6 }) => [v4, v6] },
  { name: 'tproxy', options: { mode: 'tproxy' }, seen: (_, { v4, v6 }) => [v4, v6] },
  { name: "Istio's chains", options: { chains: 'istio' }, seen: () => ['127.0.0.6', '::6'] },
  {
    name: "Istio's chains with tproxy",
    options: { chains: 'istio', mode: 'tproxy' },
    seen: (_, { v4, v6 }) => [v4, v6],
  },
];

for (const { name, options, seen } of ways) {
  test(`with ${name} the application sees what it should, and spans the client`, { skip: noNamespaces }, async (t) => {
    const network = await createNetwork(t);
    const client = await network.addPod('client');
    const server = await network.addPod('server');
    await server.ask('serveHttp', { port: 8080 });
    await server.ask('serveBanner', { port: 2525 });
    await capture(t, network, server, options);
    const expected = seen(server, client);
    for (const [i, family] of (['v4', 'v6'] as const).entries()) {
      const host = family === 'v6' ? `[${server.v6}]` : server.v4;
      const answer = await client.ask('get', { url: `http://${host}:8080/` });
      assert.equal(answer.status, 200, answer.error);
      assert.equal((JSON.parse(answer.body) as Reached).client, expected[i]);
      const greeting = `220 ${expected[i]}\r\n`;
      const talk = await client.ask('talk', { host: server[family], port: 2525, send: '', bytes: greeting.length });
      assert.deepEqual(talk, { received: greeting, error: '' });
    }
    const spans = await network.received(4);
    assert.deepEqual(spans.map(({ attributes }) => attributes['client.address']).sort(), [
      client.v4,
      client.v4,
      client.v6,
      client.v6,
    ]);
  });
}
