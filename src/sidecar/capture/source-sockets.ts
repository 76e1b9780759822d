// Sockets whose source address is chosen: 127.0.0.6 as Istio's rules want it, or the client's own.
import type { Socket } from 'node:net';
import type { Address } from '../../runtime/address.ts';
import { descriptorOf } from '../../runtime/socket/descriptor.ts';
import {
  bytesV6,
  encodeAddress,
  familyV4,
  familyV6,
  isV6,
  putV4,
  setPort,
  unmap,
} from '../../runtime/socket/socket-address.ts';
import { callError, type SocketCalls, type SocketOption, socketOptions } from '../../runtime/socket/socket-calls.ts';

/** Makes the sockets of the inbound leg. */
export interface SourceSockets {
  /**
   * The descriptor of a bound socket to reach `target` with, or why there is none; nothing stays open then.
   * @param clients addresses of the target's clients by their port
   */
  open(client: Socket, target: Address, clients: ReadonlyMap<number, string>): number | Error;
}

type Setting = readonly [SocketOption, number];

/** What Istio's and our own rules know the packets of the inbound leg by. */
export const tproxyMark = 1337;

/** `bind` returns 0 or the error's number. */
function openBound(
  calls: SocketCalls,
  family: number,
  settings: readonly Setting[],
  bind: (descriptor: number) => number,
): number | Error {
  const descriptor = calls.open(family);
  if (descriptor < 0) return callError('socket', -descriptor);
  const failed = (call: string, errno: number) => {
    calls.close(descriptor);
    return callError(call, errno);
  };
  for (const [option, value] of settings) {
    const errno = calls.setOption(descriptor, option, value);
    if (errno !== 0) return failed('setsockopt', errno);
  }
  const errno = bind(descriptor);
  return errno === 0 ? descriptor : failed('bind', errno);
}

/**
 * Istio's passthrough: 127.0.0.6 or ::6. The port is left to `connect` (IP_BIND_ADDRESS_NO_PORT): one taken by `bind` is
 * taken for every destination, and then the application's own connections find none (R3).
 */
export class PassthroughSources implements SourceSockets {
  readonly #calls: SocketCalls;
  readonly #v4 = encodeAddress(Uint8Array.of(127, 0, 0, 6), 0);
  readonly #v6 = encodeAddress(
    Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 6 : 0)),
    0,
  );

  constructor(calls: SocketCalls) {
    this.#calls = calls;
  }

  open(_client: Socket, target: Address): number | Error {
    const isTargetV6 = target.host.includes(':');
    const source = isTargetV6 ? this.#v6 : this.#v4;
    const bind = (descriptor: number) => this.#calls.bind(descriptor, source);
    return openBound(this.#calls, isTargetV6 ? familyV6 : familyV4, passthrough, bind);
  }
}

const passthrough: readonly Setting[] = [[socketOptions.bindAddressNoPort, 1]];
const transparentV4: readonly Setting[] = [
  [socketOptions.transparentV4, 1],
  [socketOptions.mark, tproxyMark],
  [socketOptions.reuseAddress, 1],
];
const transparentV6: readonly Setting[] = [[socketOptions.transparentV6, 1], ...transparentV4.slice(1)];

/** Below those that Linux and other systems give to clients by themselves. */
const firstPort = 1024;
const lastPort = 32767;
/** The first may be taken by a server of the application. */
const maxAttempts = 32;

/**
 * The client's own address. Its port cannot be kept: the connection from it to the target is the one that we hold. A
 * port that another connection of this client has would be as bad, and one that it will choose next, too: what comes
 * for the one connection would be taken for the other's. `connect` knows nothing of that, so the port is chosen here,
 * from those that clients do not use.
 */
export class ClientSources implements SourceSockets {
  readonly #calls: SocketCalls;
  readonly #source = Buffer.alloc(bytesV6);
  #port = firstPort + Math.floor(Math.random() * (lastPort - firstPort));

  constructor(calls: SocketCalls) {
    this.#calls = calls;
  }

  open(client: Socket, _target: Address, clients: ReadonlyMap<number, string>): number | Error {
    const failure = this.#readSource(client);
    if (failure !== undefined) return failure;
    const isClientV6 = isV6(this.#source);
    const bind = (descriptor: number) => this.#bind(descriptor, clients);
    const settings = isClientV6 ? transparentV6 : transparentV4;
    return openBound(this.#calls, isClientV6 ? familyV6 : familyV4, settings, bind);
  }

  #readSource(client: Socket): Error | undefined {
    // Node has been asked for it by now, and to read the text is cheaper than a call.
    if (putV4(this.#source, client.remoteAddress ?? '')) return undefined;
    const from = descriptorOf(client);
    const errno = from === undefined ? 0 : this.#calls.peerAddress(from, this.#source);
    if (from === undefined || errno !== 0) return callError('getpeername', errno);
    unmap(this.#source);
    return undefined;
  }

  #bind(descriptor: number, clients: ReadonlyMap<number, string>): number {
    let errno = 0;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      this.#port = this.#port < lastPort ? this.#port + 1 : firstPort;
      if (clients.has(this.#port)) continue;
      setPort(this.#source, this.#port);
      errno = this.#calls.bind(descriptor, this.#source);
      if (errno === 0) return 0;
    }
    return errno;
  }
}
