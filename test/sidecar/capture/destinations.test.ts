// Captured connections are sent where they were going: the kernel's bytes are judged once for each destination.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import test from 'node:test';
import { encodeAddress } from '../../../src/runtime/socket/socket-address.ts';
import { type SocketCalls, type SocketOption, socketOptions } from '../../../src/runtime/socket/socket-calls.ts';
import { Destination } from '../../../src/sidecar/capture/destination.ts';
import { Destinations, maxDestinations } from '../../../src/sidecar/capture/destinations.ts';
import { LocalAddresses } from '../../../src/sidecar/capture/local-addresses.ts';

const v4 = (text: string) => Uint8Array.from(text.split('.').map(Number));
const v6 = (hex: string) => Uint8Array.from(Buffer.from(hex.padStart(32, '0'), 'hex'));

/** A kernel that answers with `answer`, and remembers what it was asked. */
function kernel() {
  const asked: (SocketOption | 'local')[] = [];
  const state = { asked, answer: encodeAddress(v4('10.0.0.9'), 80), errno: 0 };
  const give = (what: SocketOption | 'local', into: Buffer) => {
    asked.push(what);
    state.answer.copy(into);
    return state.errno;
  };
  const calls: SocketCalls = {
    readAddress: (_descriptor, option, into) => give(option, into),
    localAddress: (_descriptor, into) => give('local', into),
    peerAddress: () => assert.fail('nobody needs the peer'),
    setOption: () => assert.fail('nothing is set'),
    bind: () => assert.fail('nothing is bound'),
    open: () => assert.fail('no socket is made'),
    close: () => {},
  };
  return { state, calls };
}

function client(remoteAddress: string, localPort = 15006, remotePort = 40_000): Socket {
  return { _handle: { fd: 7 }, remoteAddress, remotePort, localPort } as unknown as Socket;
}

function destinations(transparent = false) {
  const { state, calls } = kernel();
  const interfaces = () => ({
    eth0: [
      { address: '10.0.0.1', family: 'IPv4', internal: false, netmask: '', mac: '', cidr: null } as const,
      { address: 'fe80::1', family: 'IPv6', internal: false, netmask: '', mac: '', cidr: null, scopeid: 3 } as const,
    ],
  });
  const found = new Destinations({
    direction: 'inbound',
    connectTimeoutMs: 1000,
    sources: undefined,
    onLoop: () => {},
    onOwn: () => {},
    calls,
    local: new LocalAddresses(interfaces),
    ownPorts: new Set([15006, 15001]),
    transparent,
  });
  found.capturePort = 15006;
  return { found, state };
}

function targetOf(verdict: ReturnType<Destinations['of']>) {
  assert.ok(verdict instanceof Destination, String(verdict));
  return verdict.facts.target;
}

test('the kernel is asked by the family of the client, and its answer is the target', () => {
  const { found, state } = destinations();
  assert.deepEqual(targetOf(found.of(client('10.0.0.2'))), { host: '10.0.0.9', port: 80 });
  assert.deepEqual(targetOf(found.of(client('::ffff:10.0.0.2'))), { host: '10.0.0.9', port: 80 });
  state.answer = encodeAddress(v6('20010db8000000000000000000000009'), 443);
  assert.deepEqual(targetOf(found.of(client('2001:db8::2'))), { host: '2001:db8::9', port: 443 });
  assert.deepEqual(state.asked, [
    socketOptions.originalDestinationV4,
    socketOptions.originalDestinationV4,
    socketOptions.originalDestinationV6,
  ]);
});

test('a link-local target is given with its interface', () => {
  const { found, state } = destinations();
  state.answer = encodeAddress(v6('fe800000000000000000000000000009'), 80);
  state.answer.writeUInt32LE(3, 24);
  assert.deepEqual(targetOf(found.of(client('fe80::2'))), { host: 'fe80::9%eth0', port: 80 });
});

test('the same destination is one object, named as Istio names clusters; the oldest goes when there are too many', () => {
  const { found, state } = destinations();
  const first = found.of(client('10.0.0.2'));
  assert.ok(first instanceof Destination);
  assert.equal(first.upstreamCluster, 'inbound|80||');
  assert.equal(found.of(client('10.0.0.3')), first);
  for (let port = 1; port <= maxDestinations; port++) {
    state.answer = encodeAddress(v4('10.0.0.8'), port);
    found.of(client('10.0.0.2'));
  }
  assert.equal(found.size, maxDestinations);
  state.answer = encodeAddress(v4('10.0.0.9'), 80);
  assert.notEqual(found.of(client('10.0.0.2')), first);
});

test('what was meant for the sidecar itself is a loop', () => {
  const { found, state } = destinations();
  for (const host of ['10.0.0.1', '127.0.0.1', '127.8.9.1']) {
    for (const port of [15006, 15001]) {
      state.answer = encodeAddress(v4(host), port);
      assert.equal(found.of(client('10.0.0.2')), 'loop', `${host}:${port}`);
    }
  }
  state.answer = encodeAddress(v4('10.0.0.2'), 15006);
  assert.deepEqual(targetOf(found.of(client('10.0.0.3'))), { host: '10.0.0.2', port: 15006 }, 'another machine');
  state.errno = 2;
  assert.equal(found.of(client('10.0.0.2')), 'loop', 'not redirected at all');
});

test('a client that has reset its connection already is nothing to ask for', () => {
  const { found, state } = destinations();
  assert.equal(found.of({ _handle: { fd: 7 }, remoteAddress: undefined } as unknown as Socket), 'gone');
  assert.deepEqual(state.asked, []);
});

test('probes of our own rules and of Istio are told from traffic', () => {
  const { found, state } = destinations();
  for (const [host, port] of [
    ['127.0.0.1', 15002],
    ['127.0.0.1', 15003],
    ['127.0.0.6', 15002],
  ] as const) {
    state.answer = encodeAddress(v4(host), port);
    assert.equal(found.of(client('127.0.0.1')), 'probe', `${host}:${port}`);
  }
  for (const hex of ['1', '6']) {
    state.answer = encodeAddress(v6(hex), 15002);
    assert.equal(found.of(client('::1')), 'probe', `::${hex}`);
  }
  state.answer = encodeAddress(v4('10.0.0.1'), 15002);
  assert.deepEqual(targetOf(found.of(client('10.0.0.2'))), { host: '10.0.0.1', port: 15002 });
});

test('what comes untouched says by its local address where it goes; what was redirected all the same is asked for', () => {
  const { found, state } = destinations(true);
  assert.deepEqual(targetOf(found.of(client('10.0.0.2', 80))), { host: '10.0.0.9', port: 80 });
  assert.deepEqual(targetOf(found.of(client('10.0.0.2', 15006))), { host: '10.0.0.9', port: 80 });
  assert.deepEqual(state.asked, ['local', socketOptions.originalDestinationV4]);
});
