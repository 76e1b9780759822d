// Promise: a captured connection is what it was: who speaks first, what is encrypted, how a refusal looks; and no loop, ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificate } from '../../support/certificate.ts';
import { noNamespaces } from '../../support/network-namespace.ts';
import { capture, settles } from './support/captured-pod.ts';
import { createNetwork } from './support/network.ts';
import { createPair, get, noSpans, tracedCalls } from './support/pair.ts';

const inNamespaces = { skip: noNamespaces };
const families = ['v4', 'v6'] as const;

test('a server that speaks first is heard at once, through both sidecars', inNamespaces, async (t) => {
  const { client, server } = await createPair(t);
  await server.pod.ask('serveBanner', { port: 2525 });
  for (const family of families) {
    const greeting = `220 ${server.pod[family]}\r\n`;
    const host = server.pod[family];
    const first = await client.pod.ask('talk', { host, port: 2525, send: '', bytes: greeting.length });
    assert.deepEqual(first, { received: greeting, error: '' });
    const all = { received: `${greeting}\0\x01\xff binary`, error: '' };
    const send = '\0\x01\xff binary';
    assert.deepEqual(await client.pod.ask('talk', { host, port: 2525, send, bytes: all.received.length }), all);
  }
});

test('TLS passes unread, and is a connection span on either side', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t);
  await server.pod.ask('serveTls', { port: 8443, ...certificate });
  for (const family of families) {
    const talk = await client.pod.ask('getTls', { host: server.pod[family], port: 8443, serverName: 'shop.example' });
    assert.deepEqual(talk, { received: 'over TLS', error: '' });
  }
  const spans = await network.received(4);
  assert.deepEqual(spans.map(({ service, kind }) => `${service} ${kind}`).sort(), [
    'client CLIENT',
    'client CLIENT',
    'server SERVER',
    'server SERVER',
  ]);
  for (const { attributes } of spans) assert.equal(attributes['tls.client.server_name'], 'shop.example');
});

test(
  'a port where nobody listens is a reset for the caller, and a failed call in the span',
  inNamespaces,
  async (t) => {
    const { network, client, server } = await createPair(t);
    for (const family of families) {
      const host = server.pod[family];
      const talk = await client.pod.ask('talk', {
        host,
        port: 81,
        send: 'GET / HTTP/1.1\r\nHost: h\r\n\r\n',
        bytes: 1,
      });
      assert.deepEqual(talk, { received: '', error: 'ECONNRESET' });
    }
    await settles(server, 'tracecar_connect_failures_total', { direction: 'inbound', reason: 'refused' }, 2);
    const spans = await network.received(2, ({ kind }) => kind === 'SERVER');
    for (const { statusCode } of spans) assert.equal(statusCode, 2);
  },
);

test(
  'who calls the ports of the sidecar is reset and counted, and no connection follows from it',
  inNamespaces,
  async (t) => {
    const { network, client, server } = await createPair(t);
    const calls: (readonly [typeof client, string, number])[] = [];
    // From another pod: through its own sidecar, so that two are asked.
    for (const family of families) calls.push([client, server.pod[family], 15006], [client, server.pod[family], 15001]);
    // From the application itself, by every name its pod has.
    for (const host of ['127.0.0.1', '::1', server.pod.v4, server.pod.v6]) {
      calls.push([server, host, 15006], [server, host, 15001]);
    }
    for (const [from, host, port] of calls) {
      const talk = await from.pod.ask('talk', { host, port, send: 'GET / HTTP/1.1\r\nHost: h\r\n\r\n', bytes: 1 });
      const what = `${from.pod.name} to ${host}:${port}`;
      assert.equal(talk.received, '', what);
      assert.match(talk.error, /^ECONN(RESET|REFUSED)$/, what);
    }
    const accepted = await Promise.all(
      [client, server].map((captured) => captured.count('tracecar_connections_accepted_total')),
    );
    const total = accepted.reduce((a, b) => a + b);
    assert.ok(total <= 2 * calls.length, `${total} connections for ${calls.length} calls`);
    assert.ok((await server.count('tracecar_connections_refused_total', { reason: 'loop' })) >= 4);
    for (const captured of [client, server]) await settles(captured, 'tracecar_connections', {}, 0);
    // Both still do their work.
    await get(client.pod, server.pod.v4, 8080);
    await network.received(1, ({ attributes }) => attributes['http.response.status_code'] === 200);
  },
);

test('workers that the rules do not let pass cut the circle, whichever of them gets it', inNamespaces, async (t) => {
  const network = await createNetwork(t);
  const client = await network.addPod('client');
  const server = await network.addPod('server');
  await server.ask('serveHttp', { port: 8080 });
  const captured = await capture(t, network, client, { args: ['--concurrency', '2'], asStranger: true });
  const calls = 5;
  for (let i = 0; i < calls; i++) {
    const host = i % 2 === 0 ? server.v4 : server.v6;
    const talk = await client.ask('talk', { host, port: 8080, send: 'GET / HTTP/1.1\r\nHost: h\r\n\r\n', bytes: 1 });
    assert.equal(talk.received, '');
  }
  const accepted = await captured.count('tracecar_connections_accepted_total');
  assert.ok(accepted < 200, `${accepted} connections for ${calls} calls`);
  assert.ok((await captured.count('tracecar_connections_refused_total', { reason: 'loop' })) >= 1);
});

test('a caller without a sidecar, and a server without one, are served too', inNamespaces, async (t) => {
  const network = await createNetwork(t);
  const plainClient = await network.addPod('plain-client');
  const middle = await network.addPod('middle');
  const plainServer = await network.addPod('plain-server');
  for (const pod of [middle, plainServer]) await pod.ask('serveHttp', { port: 8080 });
  await capture(t, network, middle);
  await get(plainClient, middle.v6, 8080);
  await get(middle, plainServer.v4, 8080);
  const spans = await network.received(2);
  assert.deepEqual(spans.map(({ kind }) => kind).sort(), ['CLIENT', 'SERVER']);
});

test('connections without a byte make no span', inNamespaces, async (t) => {
  const { network, client, server } = await createPair(t);
  for (const family of families) await client.pod.ask('hold', { host: server.pod[family], port: 8080 });
  await settles(server, 'tracecar_connections', {}, 2);
  await noSpans(network);
  await get(client.pod, server.pod.v4, 8080);
  await tracedCalls(network);
});
