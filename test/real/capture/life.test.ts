// Promise: whatever becomes of a worker, captured connections go on being served, by any number of workers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { noNamespaces } from '../../support/network-namespace.ts';
import { killWorker, nthWorker, workerIds } from '../../support/workers.ts';
import { settles } from './support/captured-pod.ts';
import { createPair, get, tracedCalls } from './support/pair.ts';

const inNamespaces = { skip: noNamespaces };
/** What a worker that is killed takes with it: the connections it had open, and no other. */
const cutOff = ['ECONNRESET', 'EPIPE', 'socket hang up'];

for (const mode of ['redirect', 'tproxy'] as const) {
  test(`${mode}: a killed worker costs the connections it had, and none that comes later`, inNamespaces, async (t) => {
    const { network, client, server } = await createPair(t, { mode });
    const lanes = 4;
    for (const family of ['v4', 'v6'] as const) {
      const host = family === 'v6' ? `[${server.pod.v6}]` : server.pod.v4;
      await client.pod.ask('startLoad', { url: `http://${host}:8080/`, lanes });
      for (const { sidecar } of [server, client]) {
        const before = await client.pod.ask('loadSent');
        await eventually('the load runs', async () => (await client.pod.ask('loadSent')) > before + 20);
        const known = workerIds(sidecar);
        await killWorker(known.at(-1)!);
        await nthWorker(sidecar, known.length + 1);
      }
      const before = await client.pod.ask('loadSent');
      await eventually('the load goes on', async () => (await client.pod.ask('loadSent')) > before + 50);
      const { sent, answered, failures } = await client.pod.ask('stopLoad');
      const failed = Object.values(failures).reduce((a, b) => a + b, 0);
      assert.equal(answered + failed, sent);
      assert.ok(failed <= 2 * lanes, `${failed} of ${sent} failed: ${JSON.stringify(failures)}`);
      for (const reason of Object.keys(failures)) assert.ok(cutOff.includes(reason), reason);
    }
    const before = network.spans.length;
    await get(client.pod, server.pod.v4, 8080);
    await eventually('it is traced', () => network.spans.length >= before + 2);
  });
}

test('two workers share captured connections of both directions and families', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t, { args: ['--concurrency', '2'] });
  for (const { sidecar } of [client, server]) await nthWorker(sidecar, 2);
  const calls = 40;
  for (let i = 0; i < calls; i++) await get(client.pod, i % 2 === 0 ? server.pod.v4 : server.pod.v6, 8080);
  await tracedCalls(network, calls);
  await settles(client, 'tracecar_connections_accepted_total', { direction: 'outbound' }, calls);
  await settles(server, 'tracecar_connections_accepted_total', { direction: 'inbound' }, calls);
});
