// Which addresses a namespace is given beside the routes of a machine, and which routes it gets.
import assert from 'node:assert/strict';
import test from 'node:test';
import { chooseV4, chooseV6, destinationsOf } from '../../../../src/cli/run/netns/addresses.ts';

const first = () => 0;
/** 0, 1, 2, ... */
function counting(): (limit: number) => number {
  let next = 0;
  return (limit) => next++ % limit;
}

test('a pair lies side by side in four addresses of the range for benchmarks', () => {
  assert.deepEqual(chooseV4([{ dst: 'default' }], first), {
    host: '198.18.0.1',
    inside: '198.18.0.2',
    prefixLength: 30,
    subnet: '198.18.0.0/30',
  });
});

test('what is in a route of any kind is passed over, a network, an address or a part', () => {
  const routes = [
    { dst: '198.18.0.0/29' },
    { dst: '198.18.0.10', type: 'local' },
    { dst: '198.18.0.15', type: 'broadcast' },
  ];
  assert.equal(chooseV4(routes, counting()).subnet, '198.18.0.16/30');
});

test('a range that is routed as a whole is left for the next one, the largest last', () => {
  const routes = [{ dst: '198.18.0.0/15' }];
  assert.equal(chooseV4(routes, first).subnet, '100.64.0.0/30');
  routes.push({ dst: '100.64.0.0/10' }, { dst: '172.16.0.0/12' });
  assert.equal(chooseV4(routes, first).subnet, '192.168.0.0/30');
  routes.push({ dst: '192.168.0.0/16' });
  assert.equal(chooseV4(routes, first).subnet, '10.0.0.0/30');
  routes.push({ dst: '10.0.0.0/8' });
  assert.throws(
    () => chooseV4(routes, first),
    /--netns: no addresses are free: every private IPv4 range is in a route/,
  );
});

test('the halves of the world that a VPN routes are a default route, not networks', () => {
  const routes = [{ dst: '0.0.0.0/1' }, { dst: '128.0.0.0/1' }];
  assert.equal(chooseV4(routes, first).subnet, '198.18.0.0/30');
  assert.deepEqual(destinationsOf(routes), ['default']);
});

test('an IPv6 network is one of unique local addresses, with forty random bits', () => {
  const values = [0xa, 0xbc, 0xffff];
  assert.deepEqual(
    chooseV6(() => values.shift()!),
    { host: 'fd0a:bc:ffff::1', inside: 'fd0a:bc:ffff::2', prefixLength: 64, subnet: 'fd0a:bc:ffff::/64' },
  );
});

test('a namespace has a default route when the machine has one, and what it reaches when not', () => {
  const near = [
    { dst: '192.0.2.0/24', dev: 'eth0' },
    { dst: '203.0.113.7', dev: 'tun0' },
    { dst: '192.0.2.2', type: 'local' },
    { dst: '192.0.2.255', type: 'broadcast' },
    { dst: '127.0.0.0/8', type: 'local' },
    { dst: '198.51.100.0/24', type: 'unreachable' },
  ];
  assert.deepEqual(destinationsOf(near), ['192.0.2.0/24', '203.0.113.7', '192.0.2.2']);
  assert.deepEqual(destinationsOf([...near, { dst: 'default', dev: 'eth0' }]), ['default']);
  assert.deepEqual(destinationsOf([]), []);
});

test('a default route that leads nowhere is none, and neither loopback nor a link is a destination', () => {
  const routes = [
    { dst: 'default', type: 'unreachable' },
    { dst: '::1', type: 'local' },
    { dst: 'fe80::/64' },
    { dst: 'ff00::/8', type: 'multicast' },
    { dst: 'fd00:1::/64' },
  ];
  assert.deepEqual(destinationsOf(routes), ['fd00:1::/64']);
});
