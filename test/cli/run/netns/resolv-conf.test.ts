// What becomes of the resolvers of a resolv.conf in a namespace.
import assert from 'node:assert/strict';
import test from 'node:test';
import { isLoopback, planResolvers } from '../../../../src/cli/run/netns/resolv-conf.ts';

test('resolvers that are reached from anywhere are kept, with all else in the file', () => {
  const text = 'search a.example b.example\noptions ndots:5 edns0\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n';
  assert.deepEqual(planResolvers(text, true), { relayed: [], replacement: undefined });
});

test('a resolver on loopback is answered at its own address, and the file stays as it is', () => {
  for (const address of ['127.0.0.53', '127.0.0.11', '::1']) {
    assert.deepEqual(planResolvers(`# stub\nnameserver ${address}\nnameserver 192.0.2.1\n`, true), {
      relayed: [{ inside: address, upstream: address }],
      replacement: undefined,
    });
  }
});

test('without a resolver, or without a file, it is the one on 127.0.0.1, as C libraries have it', () => {
  const expected = { relayed: [{ inside: '127.0.0.1', upstream: '127.0.0.1' }], replacement: undefined };
  assert.deepEqual(planResolvers('', true), expected);
  assert.deepEqual(planResolvers('search x\n#nameserver 192.0.2.1\n nameserver 192.0.2.1\n', true), expected);
});

test('a stand-in takes the place of a link-local resolver, and of nothing else in the file', () => {
  const text = 'search lan\nnameserver\tfe80::1%eth0\nnameserver 127.0.0.54\nnameserver fe80::2%eth0\noptions rotate\n';
  assert.deepEqual(planResolvers(text, true), {
    relayed: [
      { inside: '127.0.0.55', upstream: 'fe80::1%eth0' },
      { inside: '127.0.0.54', upstream: '127.0.0.54' },
      { inside: '127.0.0.56', upstream: 'fe80::2%eth0' },
    ],
    replacement: 'search lan\nnameserver\t127.0.0.55\nnameserver 127.0.0.54\nnameserver 127.0.0.56\noptions rotate\n',
  });
});

test('where the namespace has no IPv6, its resolvers have stand-ins, too', () => {
  assert.deepEqual(planResolvers('nameserver 2001:db8::53\nnameserver ::1\nnameserver 192.0.2.1', false), {
    relayed: [
      { inside: '127.0.0.54', upstream: '2001:db8::53' },
      { inside: '127.0.0.55', upstream: '::1' },
    ],
    replacement: 'nameserver 127.0.0.54\nnameserver 127.0.0.55\nnameserver 192.0.2.1',
  });
});

test('a resolver that is named twice is answered once, and what is no address is left to whoever reads it', () => {
  assert.deepEqual(planResolvers('nameserver 127.0.0.53\nnameserver 127.0.0.53\nnameserver dns.example\n', true), {
    relayed: [{ inside: '127.0.0.53', upstream: '127.0.0.53' }],
    replacement: undefined,
  });
});

test('loopback is 127.0.0.0/8 and ::1', () => {
  assert.deepEqual(['127.0.0.1', '127.1.2.3', '::1', '128.0.0.1', '::2', 'localhost', ''].map(isLoopback), [
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
