// Sockets with a chosen source: their options, what is bound, and that none stays open when something fails.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import test from 'node:test';
import { decodeAddress, encodeAddress } from '../../../src/runtime/socket/socket-address.ts';
import { type SocketCalls, type SocketOption, socketOptions } from '../../../src/runtime/socket/socket-calls.ts';
import { ClientSources, PassthroughSources } from '../../../src/sidecar/capture/source-sockets.ts';

const { EADDRINUSE, EMFILE, EPERM } = constants.errno;
const client = { _handle: { fd: 7 } } as unknown as Socket;
const nobody = new Map<number, string>();

function kernel(failures: { open?: number; option?: SocketOption; bind?: (port: number) => number } = {}) {
  const open = new Set<number>();
  const options: (readonly [SocketOption, number])[] = [];
  const bound: string[] = [];
  const state = { peer: encodeAddress(Uint8Array.of(10, 0, 0, 2), 40_000) };
  const calls: SocketCalls = {
    readAddress: () => assert.fail('no destination is asked for'),
    localAddress: () => assert.fail('no address of ours is asked for'),
    peerAddress(_descriptor, into) {
      state.peer.copy(into);
      return 0;
    },
    setOption(_descriptor, option, value) {
      options.push([option, value]);
      return option === failures.option ? EPERM : 0;
    },
    bind(_descriptor, address) {
      const { host, port } = decodeAddress(address);
      const errno = failures.bind?.(port) ?? 0;
      if (errno === 0) bound.push(port === 0 ? host : `${host} ${port}`);
      return errno;
    },
    open(family) {
      if (failures.open !== undefined) return -failures.open;
      open.add(100 + family);
      return 100 + family;
    },
    close: (descriptor) => void open.delete(descriptor),
  };
  return { calls, open, options, bound, state };
}

test("Istio's source is 127.0.0.6 or ::6, its port left to connect", () => {
  const { calls, bound, options } = kernel();
  const sources = new PassthroughSources(calls);
  assert.equal(sources.open(client, { host: '10.0.0.1', port: 80 }), 102);
  assert.equal(sources.open(client, { host: '2001:db8::1', port: 80 }), 110);
  assert.deepEqual(bound, ['127.0.0.6', '::6']);
  assert.deepEqual(options, Array(2).fill([socketOptions.bindAddressNoPort, 1]));
});

test("the client's address is taken, IPv4 in IPv6's form as IPv4, with the mark and a port below those of clients", () => {
  const { calls, bound, options, state } = kernel();
  const sources = new ClientSources(calls);
  const target = { host: '10.0.0.1', port: 80 };
  assert.equal(sources.open(client, target, nobody), 102);
  state.peer = encodeAddress(Uint8Array.from(Buffer.from('00000000000000000000ffff0a000003', 'hex')), 40_000);
  assert.equal(sources.open(client, target, nobody), 102);
  state.peer = encodeAddress(Uint8Array.from(Buffer.from('20010db8000000000000000000000002', 'hex')), 40_000);
  assert.equal(sources.open(client, { host: '2001:db8::1', port: 80 }, nobody), 110);
  const hosts = bound.map((entry) => entry.split(' ')[0]);
  const ports = bound.map((entry) => Number(entry.split(' ')[1]));
  assert.deepEqual(hosts, ['10.0.0.2', '10.0.0.3', '2001:db8::2']);
  assert.ok(ports.every((port) => port >= 1024 && port < 32768));
  assert.equal(new Set(ports).size, 3);
  const { transparentV4, transparentV6, mark, reuseAddress } = socketOptions;
  const rest = [[mark, 1337] as const, [reuseAddress, 1] as const];
  assert.deepEqual(options, [
    ...[[transparentV4, 1], ...rest],
    ...[[transparentV4, 1], ...rest],
    ...[[transparentV6, 1], ...rest],
  ]);
});

test("the kernel is not asked for a client's address that Node knows", () => {
  const { calls, bound } = kernel();
  const sources = new ClientSources({ ...calls, peerAddress: () => assert.fail('asked') });
  const known = { ...client, remoteAddress: '::ffff:10.0.0.9' } as unknown as Socket;
  assert.equal(sources.open(known, { host: '10.0.0.1', port: 80 }, nobody), 102);
  assert.equal(bound[0]?.split(' ')[0], '10.0.0.9');
});

test('a port that is taken, by a server or by another connection of the client, is passed over', () => {
  const taken: number[] = [];
  const { calls, bound } = kernel({ bind: (port) => (taken.push(port) < 3 ? EADDRINUSE : 0) });
  const sources = new ClientSources(calls);
  const target = { host: '10.0.0.1', port: 80 };
  assert.equal(sources.open(client, target, nobody), 102);
  assert.equal(bound[0], `10.0.0.2 ${taken[2]}`);
  const after = (port: number) => (port === 32767 ? 1024 : port + 1);
  const next = after(taken[2]!);
  sources.open(client, target, new Map([[next, '10.0.0.2']]));
  assert.equal(bound[1], `10.0.0.2 ${after(next)}`);
});

test('whatever fails is told by its code, and no socket stays open', () => {
  const target = { host: '10.0.0.1', port: 80 };
  const codeOf = (result: number | Error) => (result instanceof Error && 'code' in result ? result.code : result);
  for (const [failures, code] of [
    [{ open: EMFILE }, 'EMFILE'],
    [{ option: socketOptions.mark }, 'EPERM'],
    [{ bind: () => EADDRINUSE }, 'EADDRINUSE'],
  ] as const) {
    const { calls, open } = kernel(failures);
    assert.equal(codeOf(new ClientSources(calls).open(client, target, nobody)), code);
    assert.equal(open.size, 0, code);
  }
  const { calls, open } = kernel({ option: socketOptions.bindAddressNoPort });
  assert.equal(codeOf(new PassthroughSources(calls).open(client, target)), 'EPERM');
  assert.equal(open.size, 0);
});
