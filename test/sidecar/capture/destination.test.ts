// The sidecar's own connections that the rules lead back to it are found, whichever end is heard of first, and stopped.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import test from 'node:test';
import { Destination } from '../../../src/sidecar/capture/destination.ts';

function destination() {
  const seen = { loops: 0, own: 0 };
  const to = new Destination({
    direction: 'outbound',
    target: { host: '10.0.0.9', port: 80 },
    connectTimeoutMs: 1000,
    sources: undefined,
    onLoop: () => seen.loops++,
    onOwn: () => seen.own++,
  });
  return { to, seen };
}

/** One end of a connection, and whether it was reset. */
function end(address: string, port: number) {
  const state = { reset: false };
  const socket = {
    ...{ remoteAddress: address, remotePort: port, localAddress: address, localPort: port },
    destroy: () => {
      state.reset = true;
    },
  } as unknown as Socket;
  return { socket, state };
}

test('a client that is one of our own sockets is turned away, in either form of its address', () => {
  const { to, seen } = destination();
  const passage = to.admit(end('10.0.0.1', 4000).socket);
  assert.ok(passage);
  assert.equal(passage.upstreamCluster, 'outbound|80||10.0.0.9');
  passage.reached(end('10.0.0.1', 5000).socket);
  assert.ok(to.admit(end('10.0.0.2', 5000).socket), 'the same port elsewhere');
  assert.equal(to.admit(end('::ffff:10.0.0.1', 5000).socket), undefined);
  assert.deepEqual(seen, { loops: 1, own: 1 });
});

test('one that was let in before we heard of the socket is reset with it', () => {
  const { to, seen } = destination();
  const first = end('10.0.0.1', 4000);
  const passage = to.admit(first.socket)!;
  assert.ok(to.admit(end('10.0.0.1', 5000).socket));
  const server = end('10.0.0.1', 5000);
  passage.reached(server.socket);
  assert.ok(first.state.reset && server.state.reset);
  assert.deepEqual(seen, { loops: 1, own: 1 });
});

test('after a second one nothing goes there for a moment, then it is tried again', (t) => {
  let now = 10_000;
  t.mock.method(performance, 'now', () => now);
  const { to, seen } = destination();
  to.admit(end('10.0.0.1', 4000).socket)!.reached(end('10.0.0.1', 5000).socket);
  for (let i = 0; i < 2; i++) assert.equal(to.admit(end('10.0.0.1', 5000).socket), undefined);
  assert.equal(to.admit(end('10.0.0.1', 4001).socket), undefined);
  assert.deepEqual(seen, { loops: 3, own: 2 });
  now += 1001;
  assert.ok(to.admit(end('10.0.0.1', 4001).socket));
});

test('what is over is forgotten', () => {
  const { to } = destination();
  const passage = to.admit(end('10.0.0.1', 4000).socket)!;
  passage.reached(end('10.0.0.1', 5000).socket);
  assert.deepEqual([[...to.clients], [...to.own]], [[[4000, '10.0.0.1']], [[5000, '10.0.0.1']]]);
  passage.closed();
  assert.deepEqual([to.clients.size, to.own.size], [0, 0]);
  assert.ok(to.admit(end('10.0.0.1', 5000).socket));
});
