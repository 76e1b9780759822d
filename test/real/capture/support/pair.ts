// What most tests of capture begin with, and what they end with: a call between two captured pods, and its two spans.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { SinkSpan } from '../../../support/otlp-sink.ts';
import type { Reached } from '../programs/peer.ts';
import { type CapturedPod, type CaptureOptions, capture } from './captured-pod.ts';
import { createNetwork, describe, type Network, type Peer } from './network.ts';

export interface Pair {
  readonly network: Network;
  readonly client: CapturedPod;
  readonly server: CapturedPod;
}

/** Two pods, both captured, an HTTP server on 8080 of the second. */
export async function createPair(t: TestContext, options: CaptureOptions = {}): Promise<Pair> {
  const network = await createNetwork(t);
  const client = await network.addPod('client');
  const server = await network.addPod('server');
  await server.ask('serveHttp', { port: 8080 });
  return {
    network,
    client: await capture(t, network, client, options),
    server: await capture(t, network, server, options),
  };
}

/** A GET that must be answered; resolves with what the server saw. */
export async function get(peer: Peer, host: string, port = 80): Promise<Reached> {
  const answer = await peer.ask('get', { url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/` });
  assert.equal(answer.status, 200, `GET ${host}:${port}: ${answer.error}`);
  return JSON.parse(answer.body) as Reached;
}

/** Requires `count` CLIENT spans, each with one SERVER span below it, and nothing else; resolves with them. */
export async function tracedCalls(network: Network, count = 1): Promise<{ client: SinkSpan; server: SinkSpan }[]> {
  const spans = await network.received(2 * count);
  const shown = spans.map(describe).join('\n');
  assert.equal(spans.length, 2 * count, shown);
  const clients = spans.filter(({ kind }) => kind === 'CLIENT');
  assert.equal(clients.length, count, shown);
  return clients.map((client) => {
    const below = spans.filter(({ parentSpanId }) => parentSpanId === client.spanId);
    const kinds = below.map(({ kind, traceId }) => [kind, traceId]);
    assert.deepEqual(kinds, [['SERVER', client.traceId]], shown);
    assert.equal(client.parentSpanId, '');
    return { client, server: below[0]! };
  });
}

/** Requires that no span has come, longer than a batch waits. */
export async function noSpans(network: Network): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(network.spans.map(describe), []);
}
