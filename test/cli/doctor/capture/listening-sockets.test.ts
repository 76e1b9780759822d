import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { findListeningSockets } from '../../../../src/cli/doctor/capture/listening-sockets.ts';
import { thisMachine } from '../../../../src/cli/doctor/capture/namespace.ts';
import { fakeMachine } from './support.ts';

test('sockets of both families with their addresses, users, and the processes that can be seen', () => {
  const machine = fakeMachine({
    sockets: [
      { address: '00000000', port: 8080, uid: 1000, pid: 12, gid: 1337 },
      { address: '0100007F', port: 3128, uid: 1337 },
    ],
    sockets6: [{ address: 'B80D0120000000000000000001000000', port: 443, uid: 0 }],
  });
  assert.deepEqual(findListeningSockets(machine), [
    { family: 'ipv6', address: '2001:db8::1', port: 443, uid: 0, owner: undefined },
    { family: 'ipv4', address: '127.0.0.1', port: 3128, uid: 1337, owner: undefined },
    { family: 'ipv4', address: '0.0.0.0', port: 8080, uid: 1000, owner: { pid: 12, name: 'shop', gid: 1337 } },
  ]);
});

test('nothing to read is no error', () => {
  assert.deepEqual(findListeningSockets({ readText: () => undefined, readLink: () => undefined, list: () => [] }), []);
});

test('a socket of this very process is found', { skip: process.platform !== 'linux' && 'needs /proc' }, async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const found = findListeningSockets(thisMachine).find((socket) => socket.port === port);
  assert.deepEqual(
    [found?.family, found?.address, found?.uid, found?.owner?.pid, found?.owner?.gid],
    ['ipv4', '127.0.0.1', process.getuid?.(), process.pid, process.getegid?.()],
  );
});
