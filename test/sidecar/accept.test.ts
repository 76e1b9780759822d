// Who comes is counted and limited.
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
async function accepting(maxConnections: number) {
  const stats = new DirectionStats();
  const connections: Connections = new Set();
  const acceptor = await Acceptor.open(loopback, 'test', { stats, connections, maxConnections, join: opened });
  const end = async () => {
    const closed = acceptor.close();
    for (const connection of connections) connection.destroy();
    await closed;
  };
  return { acceptor, stats, connections, end };
}

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
