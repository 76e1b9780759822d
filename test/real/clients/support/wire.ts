// A sidecar with a tap on either side of it, so that what went in can be compared with what came out, byte for byte.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { eventually } from '../../../support/eventually.ts';
import { type OtlpSink, type SinkSpan, startOtlpSink } from '../../../support/otlp-sink.ts';
import { type Sidecar, startSidecar } from '../../../support/sidecar.ts';

/** What went over one connection. */
export interface Tapped {
  readonly fromClient: Buffer[];
  readonly fromServer: Buffer[];
  ended: boolean;
}

export interface Tap {
  readonly port: number;
  readonly connections: readonly Tapped[];
}

/** A TCP relay to a port of 127.0.0.1 that writes down the bytes of both directions. It ends with the test. */
export async function startTap(t: TestContext, target: number): Promise<Tap> {
  const connections: Tapped[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const tapped: Tapped = { fromClient: [], fromServer: [], ended: false };
    connections.push(tapped);
    client.on('data', (chunk) => tapped.fromClient.push(chunk));
    upstream.on('data', (chunk) => tapped.fromServer.push(chunk));
    client.pipe(upstream);
    upstream.pipe(client);
    let closed = 0;
    for (const [socket, peer] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => peer.resetAndDestroy());
      socket.on('close', () => {
        sockets.delete(socket);
        peer.destroySoon();
        tapped.ended = ++closed === 2;
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { port: (server.address() as net.AddressInfo).port, connections };
}

export interface Wire {
  /** The server itself. */
  readonly direct: number;
  /** The way through tap, sidecar and tap. */
  readonly through: number;
  /** Between client and sidecar. */
  readonly outside: Tap;
  /** Between sidecar and server. */
  readonly inside: Tap;
  readonly sidecar: Sidecar;
  readonly sink: OtlpSink;
}

/** Puts a sidecar, with taps, in front of a server on a port of 127.0.0.1. */
export async function startWire(t: TestContext, server: number, args: readonly string[] = []): Promise<Wire> {
  const sink = await startOtlpSink(t);
  const inside = await startTap(t, server);
  const sidecar = await startSidecar(t, { inbound: inside.port, otlp: sink.url, args });
  const outside = await startTap(t, sidecar.inbound);
  return { direct: server, through: outside.port, outside, inside, sidecar, sink };
}

const lineOfOurs = /\r\n(?:traceparent|x-b3-(?:traceid|spanid|parentspanid|sampled)|x-request-id): [^\r\n]*(?=\r\n)/g;

/** How many requests of a connection the sidecar has put its lines into. */
export function marks(tapped: Tapped): number {
  return (
    Buffer.concat(tapped.fromClient)
      .toString('latin1')
      .match(/\r\ntraceparent: 00-/g)?.length ?? 0
  );
}

/**
 * Requires that each connection outside is one inside, with the same bytes both ways but for the trace lines of the
 * sidecar, and that there are no others. Resolves with the number of connections.
 */
export async function assertUnchanged(wire: Wire): Promise<number> {
  const { outside, inside } = wire;
  await eventually(
    () => `all ${outside.connections.length} connections end`,
    () => [...outside.connections, ...inside.connections].every(({ ended }) => ended),
  );
  const left = inside.connections.map(plainBytes);
  for (const tapped of outside.connections) {
    const came = plainBytes(tapped);
    assert.equal(marks(tapped), 0, 'the client sends no trace headers of its own');
    const at = left.findIndex((other) => other.client === came.client && other.server === came.server);
    assert.notEqual(
      at,
      -1,
      at < 0 ? `no connection to the server had these bytes:\n${excerpt(came)}\nbut${left.map(excerpt)}` : '',
    );
    left.splice(at, 1);
  }
  assert.deepEqual(left.map(excerpt), [], 'the sidecar opened connections of its own');
  return outside.connections.length;
}

interface Plain {
  readonly client: string;
  readonly server: string;
}

function plainBytes(tapped: Tapped): Plain {
  return {
    client: Buffer.concat(tapped.fromClient).toString('latin1').replaceAll(lineOfOurs, ''),
    server: Buffer.concat(tapped.fromServer).toString('latin1'),
  };
}

function excerpt({ client, server }: Plain): string {
  return `\n> ${JSON.stringify(client.slice(0, 600))} (${client.length})\n< ${JSON.stringify(server.slice(0, 600))} (${server.length})`;
}

/** Spans in the order their requests began; those that began together in the order they came. */
export function inOrder(spans: readonly SinkSpan[]): SinkSpan[] {
  return [...spans].sort((a, b) => Number(a.startNs - b.startNs));
}

/** The lines of the first `count` spans, in the order the requests began. */
export async function spanLines(sink: OtlpSink, count: number): Promise<string[]> {
  return inOrder(await sink.received(count)).map(spanLine);
}

/** `POST /path 200 request-bytes response-bytes`. */
export function spanLine({ attributes }: SinkSpan): string {
  const parts = [
    attributes['http.request.method'],
    attributes['url.path'],
    attributes['http.response.status_code'] ?? 'none',
    attributes['http.request.body.size'],
    attributes['http.response.body.size'],
  ];
  return parts.join(' ');
}

/** Every span that was made has been exported. */
export async function assertNothingLost({ sidecar }: Wire): Promise<void> {
  const { created, exported } = await eventually('every span is exported', async () => {
    const ledger = await sidecar.ledger();
    return ledger.created === ledger.exported && ledger;
  });
  assert.equal(exported, created);
}

/**
 * The connection was not taken for HTTP, nor for HTTP that went wrong, and has one span that counts its bytes.
 * @param expected attributes the span must have
 */
export async function assertUnreadSpan(wire: Wire, expected: Readonly<Record<string, string>>): Promise<SinkSpan> {
  const [span] = await wire.sink.received(1);
  assert.ok(span !== undefined);
  for (const [name, value] of Object.entries(expected)) assert.equal(span.attributes[name], value, name);
  const [tapped] = wire.outside.connections;
  const bytes = (chunks: readonly Buffer[] = []) => chunks.reduce((sum, { length }) => sum + length, 0);
  assert.equal(span.attributes['tracecar.bytes_from_client'], bytes(tapped?.fromClient));
  assert.equal(span.attributes['tracecar.bytes_from_server'], bytes(tapped?.fromServer));
  assert.equal(span.statusCode, 0, String(span.attributes['error.type']));
  const requests = (await wire.sidecar.metrics()).filter(({ name }) => name === 'tracecar_requests_total');
  assert.deepEqual(requests, []);
  assert.deepEqual(await degradedReasons(wire), []);
  return span;
}

/** Why connections were degraded: empty where HTTP/1 was certain. */
export async function degradedReasons({ sidecar }: Wire): Promise<string[]> {
  const samples = await sidecar.metrics();
  return samples
    .filter(({ name, value }) => name === 'tracecar_connections_degraded_total' && value > 0)
    .map(({ labels }) => String(labels.reason));
}
