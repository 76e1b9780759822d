// Who comes is counted, limited and let in one at a time.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import test from 'node:test';
import { Acceptor } from '../../src/sidecar/accept.ts';
import type { Connections, OpenConnection } from '../../src/sidecar/open-connection.ts';
import { DirectionStats } from '../../src/sidecar/stats.ts';

const loopback = { host: '127.0.0.1', port: 0 };

function opened(client: Socket): OpenConnection {
  return {
    protocol: 'opaque',
    describe: () => assert.fail('nobody asks'),
    sweep() {},
    destroy: () => client.destroy(),
  };
}

/** An acceptor, whom it let in, and the end of it all. */
async function accepting(maxConnections: number, onClient: (client: Socket) => void = () => {}) {
  const stats = new DirectionStats();
  const connections: Connections = new Set();
  const join = (client: Socket) => {
    onClient(client);
    return opened(client);
  };
  const acceptor = await Acceptor.open(loopback, 'test', { stats, connections, maxConnections, join });
  const end = async () => {
    const closed = acceptor.close();
    for (const connection of connections) connection.destroy();
    await closed;
  };
  return { acceptor, stats, connections, end };
}

test('clients who wait together are let in one in a turn of the event loop, in their order', async () => {
  let turn = 0;
  const turns: number[] = [];
  const ports: number[] = [];
  let all = (): void => {};
  const arrived = new Promise<void>((resolve) => {
    all = resolve;
  });
  const { acceptor, stats, end } = await accepting(0, (client) => {
    turns.push(turn);
    ports.push(client.remotePort ?? 0);
    if (turns.length === 8) all();
  });
  const clients = Array.from({ length: 8 }, () => connect(acceptor.bound));
  const count = () => {
    turn++;
    if (turns.length < 8) setImmediate(count);
  };
  setImmediate(count);
  await arrived;
  assert.equal(new Set(turns).size, 8, `one a turn: ${turns}`);
  assert.equal(stats.connectionsTotal, 8);
  assert.deepEqual(
    ports,
    clients.map((client) => client.localPort),
  );
  for (const client of clients) client.destroy();
  await end();
});

test('what a client sent before its turn is read once it is let in', async () => {
  let resolve = (_: string): void => {};
  const promise = new Promise<string>((done) => {
    resolve = done;
  });
  const { acceptor, end } = await accepting(0, (client) => client.once('data', (data) => resolve(data.toString())));
  const first = connect(acceptor.bound);
  const second = connect(acceptor.bound);
  second.destroy();
  first.write('early');
  assert.equal(await promise, 'early');
  first.destroy();
  await end();
});

test('a client above the limit is reset and counted, and the others stay', async () => {
  const { acceptor, stats, connections, end } = await accepting(2);
  const clients = [connect(acceptor.bound), connect(acceptor.bound)];
  await Promise.all(clients.map((client) => once(client, 'connect')));
  const third = connect(acceptor.bound);
  const [error] = (await once(third, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  assert.equal(stats.refusedConnections, 1);
  assert.equal(stats.connectionsTotal, 3);
  assert.equal(connections.size, 2);
  for (const client of clients) client.destroy();
  await end();
});

test('who still waits when it closes is closed, and the close ends', async () => {
  const { acceptor, stats, end } = await accepting(0);
  const client = connect(acceptor.bound);
  await once(client, 'connect');
  const gone = once(client, 'close');
  client.resume();
  await end();
  await gone;
  assert.ok(stats.connectionsTotal <= 1);
});
