// Promise (R5): an exception of ours at any place the byte path calls costs a span, never a byte, a neighbour or the process.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Tracer } from '../../src/sidecar/tracer.ts';
import { eventually } from '../support/eventually.ts';
import { type InProcessSidecar, startInProcessSidecar } from '../support/in-process-sidecar.ts';
import { connectRaw, type RawClient, type RawServer, startRawServer } from '../support/raw-tcp.ts';
import { exporterSites, get, inject, ok, recovery, type Site, scenarios, sites, type Turn } from './fault-sites.ts';

/** Lines a sidecar inserts by default. */
const ours = /(?:traceparent|x-b3-(?:traceid|spanid|sampled|parentspanid)|x-request-id): [0-9a-f-]+\r\n/g;

interface Setup extends InProcessSidecar {
  readonly server: RawServer;
}

async function setUp(t: TestContext, onFault: (error: unknown) => void = () => {}): Promise<Setup> {
  const server = await startRawServer(t, {});
  return { server, ...(await startInProcessSidecar(t, server.port, onFault)) };
}

const faultsCounted = ({ stats }: Setup) => stats.degraded.get('observer_error') ?? 0;

/** As `eventually`, but looks at once again: there are thousands of these waits, each for a moment. */
async function soon(what: () => string, check: () => boolean): Promise<void> {
  const deadline = Date.now() + 3000;
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`not within three seconds: ${what()}`);
    await new Promise(setImmediate);
  }
}

/** Holds a conversation through the sidecar and checks each byte of it, both ways, and both ends. */
async function converse(t: TestContext, { port, server, open }: Setup, turns: readonly Turn[]): Promise<void> {
  const known = server.connections.length;
  const client = await connectRaw(t, port);
  await soon(
    () => 'the server is reached',
    () => server.connections.length > known,
  );
  const peer = server.connections[known]!;
  const arrived = () => peer.bytes().toString('latin1').replace(ours, '');
  let said = '';
  let answered = '';
  for (const [request, answer] of turns) {
    said += request;
    answered += answer;
    if (request !== '') client.socket.write(Buffer.from(request, 'latin1'));
    const arrivedHere = () => [...open].some((connection) => connection.describe().bytes_from_client === said.length);
    await soon(() => 'the bytes are here', arrivedHere);
    // A head is held until it is complete: only its line goes on as it comes.
    if (answer !== '')
      await soon(
        () => `${show(said)}, not ${show(arrived())}`,
        () => arrived() === said,
      );
    if (answer !== '') peer.socket.write(Buffer.from(answer, 'latin1'));
    await client.read(Buffer.byteLength(answered, 'latin1'));
    for (const connection of open) connection.sweep(Date.now() + 40_000);
  }
  client.socket.end();
  assert.equal((await client.readToEnd()).toString('latin1'), answered);
  await peer.ended;
  assert.equal(arrived(), said);
}

const show = (text: string) => JSON.stringify(text.slice(-120));

async function connectNeighbour(t: TestContext, { port, server }: Setup): Promise<RawClient> {
  const neighbour = await connectRaw(t, port);
  await eventually('the neighbour is connected', () => server.connections.length === 1);
  return neighbour;
}

/** A connection that was open all the while serves a request as ever. */
async function assertUnharmed({ server, exporter }: Setup, neighbour: RawClient): Promise<void> {
  const peer = server.connections[0]!;
  neighbour.socket.write(get);
  await eventually('the neighbour', () => peer.bytes().includes('\r\n\r\n'));
  assert.equal(peer.bytes().toString('latin1').replace(ours, ''), get);
  const { spans } = exporter;
  peer.socket.write(ok);
  assert.equal((await neighbour.read(ok.length)).toString(), ok);
  await eventually("the neighbour's span", () => exporter.spans === spans + 1);
}

/** Has every conversation of a site with an exception at the given calls; returns how many were thrown. */
async function throwAt(t: TestContext, setup: Setup, place: Site, calls: readonly [number, number]): Promise<number> {
  let thrown = 0;
  for (const scenario of place.on) {
    const before = faultsCounted(setup);
    const fault = inject(place, ...calls);
    try {
      await converse(t, setup, scenarios[scenario]);
      await soon(
        () => 'the connection is over',
        () => setup.open.size === 1,
      );
    } finally {
      fault.restore();
    }
    thrown += fault.thrown();
    const counted = faultsCounted(setup) > before;
    assert.equal(counted, fault.thrown() > 0, `observer_error counted: ${scenario}, calls ${calls}`);
  }
  return thrown;
}

const single: readonly [number, number][] = [
  [0, 0],
  [1, 1],
  [2, 2],
];
const repeated: readonly [number, number][] = [
  [0, 1],
  [0, 1e9],
];

for (const place of [...sites, ...exporterSites, ...recovery]) {
  test(`an exception in ${place.owner.constructor.name}.${place.name}`, async (t) => {
    const setup = await setUp(t);
    const neighbour = await connectNeighbour(t, setup);
    let thrown = 0;
    for (const calls of recovery.includes(place) ? single : [...single, ...repeated]) {
      thrown += await throwAt(t, setup, place, calls);
    }
    assert.ok(thrown > 0, 'nothing was thrown');
    await assertUnharmed(setup, neighbour);
  });
}

for (const place of recovery) {
  test(`exceptions in ${place.owner.constructor.name}.${place.name} again and again cost that connection only`, async (t) => {
    const setup = await setUp(t);
    const neighbour = await connectNeighbour(t, setup);
    for (const scenario of place.on) {
      const fault = inject(place, 0, 1e9);
      try {
        const client = await connectRaw(t, setup.port);
        for (const [request] of scenarios[scenario]) client.socket.write(Buffer.from(request, 'latin1'));
        client.socket.end();
        await eventually(`the connection is over: ${scenario}`, () => setup.open.size === 1, 3000);
      } finally {
        fault.restore();
      }
    }
    await assertUnharmed(setup, neighbour);
  });
}

test('a log that throws costs nothing either', async (t) => {
  const setup = await setUp(t, () => {
    throw new Error('no log');
  });
  const neighbour = await connectNeighbour(t, setup);
  for (const place of sites.filter(({ owner }) => owner === Tracer.prototype)) {
    assert.ok((await throwAt(t, setup, place, [0, 0])) > 0);
  }
  await assertUnharmed(setup, neighbour);
});
