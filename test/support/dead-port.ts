// A port of 127.0.0.1 where nobody listens, and where nobody can begin to while the test runs.
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';

/** The local port of an open connection: connecting to it is refused, and port 0 never gives it to another test. */
export async function deadPort(t: TestContext): Promise<number> {
  const server = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  await once(client, 'connect');
  t.after(() => {
    client.destroy();
    server.close();
  });
  return client.localPort!;
}
