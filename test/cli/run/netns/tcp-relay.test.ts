// The relay of TCP: bytes, half-closes, resets, early answers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { TcpRelay } from '../../../../src/cli/run/netns/tcp-relay.ts';

const free = { host: '127.0.0.1', port: 0 };

async function relayTo(t: TestContext, serve: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
  const relay = await TcpRelay.open(free, 'a test', target);
  t.after(() => {
    relay.close();
    server.close();
  });
  return relay.bound.port;
}

test('one side may end while the other goes on', async (t) => {
  const port = await relayTo(t, (socket) => {
    socket.resume().on('end', () => {
      socket.write('still ');
      setImmediate(() => socket.end('here'));
    });
  });
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('utf8');
  socket.end('all I have to say');
  let got = '';
  for await (const text of socket) got += text as string;
  assert.equal(got, 'still here');
});

test('a reset of either side is a reset of the other', async (t) => {
  const port = await relayTo(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const socket = net.connect(port, '127.0.0.1');
  socket.write('go away');
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('an answer that comes before the request is over arrives, though the rest of the request cannot', async (t) => {
  const port = await relayTo(t, (socket) => {
    // Reads a little, answers and closes with the rest unread: a server that refuses a large body.
    socket.once('data', () => socket.end('too large', () => socket.destroy()));
  });
  for (let i = 0; i < 20; i++) {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    const answered = once(socket, 'data') as Promise<[Buffer]>;
    const piece = Buffer.alloc(65_536);
    const write = () => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', write).on('connect', write);
    assert.equal((await answered)[0].toString(), 'too large');
    socket.destroy();
  }
});

test('a taken address is told in one line', async (t) => {
  const port = await relayTo(t, () => {});
  const again = { host: '127.0.0.1', port };
  await assert.rejects(
    TcpRelay.open(again, '--admin 127.0.0.1', again),
    /^UsageError: --admin 127\.0\.0\.1: cannot listen on 127\.0\.0\.1:\d+: the port is taken/,
  );
});
