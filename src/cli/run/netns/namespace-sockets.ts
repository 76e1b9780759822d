// Sockets of another network namespace in this process: a socket stays where it was made, and the thread comes back at once.
import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isIPv6, Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type * as Koffi from 'koffi';
import { type Address, formatAddress } from '../../../runtime/address.ts';
import { encodeAddress, familyV4, familyV6 } from '../../../runtime/socket/socket-address.ts';

const streamSocket = 1;
const datagramSocket = 2;
const nonBlocking = 0o4000;
const closeOnExec = 0o2000000;
const socketLevel = 1;
const reuseAddress = 2;
const networkNamespace = 0x40000000;

interface Calls {
  setns(descriptor: number, kind: number): number;
  socket(family: number, type: number, protocol: number): number;
  bind(descriptor: number, address: Buffer, length: number): number;
  setsockopt(descriptor: number, level: number, name: number, value: Buffer, length: number): number;
  errno(): number;
}

/** @throws Error when koffi is not there for this platform */
export function loadNamespaceCalls(): Calls {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const libc = koffi.load(null);
  return {
    setns: libc.func('int setns(int, int)'),
    socket: libc.func('int socket(int, int, int)'),
    bind: libc.func('int bind(int, const void *, uint32_t)'),
    setsockopt: libc.func('int setsockopt(int, int, int, const void *, uint32_t)'),
    errno: () => koffi.errno(),
  };
}

export class NamespaceSockets {
  readonly #calls = loadNamespaceCalls();
  readonly #own = openSync('/proc/self/ns/net', 'r');
  readonly #other: number;

  /** @param file what stands for the namespace: /run/netns/NAME or /proc/PID/ns/net */
  constructor(file: string) {
    this.#other = openSync(file, 'r');
  }

  /** Lets go of the namespace; sockets made there keep it. */
  close(): void {
    closeSync(this.#own);
    closeSync(this.#other);
  }

  /** A TCP socket that is bound to an address there, for a server to listen on. */
  tcp(address: Address): Address {
    return { ...address, descriptor: this.#bound(streamSocket, address) };
  }

  /** A UDP socket that is bound to an address there. */
  udp(address: Address): Address {
    return { ...address, descriptor: this.#bound(datagramSocket, address) };
  }

  /** Connects to an address there. */
  connect({ host, port }: Address): Socket {
    const fd = this.#there(() => this.#socket(isIPv6(host) ? familyV6 : familyV4, streamSocket));
    return new Socket({ fd, allowHalfOpen: true }).setNoDelay().connect({ host, port });
  }

  #bound(type: number, address: Address): number {
    const encoded = encodeAddress(bytesOf(address.host), address.port);
    return this.#there(() => {
      const descriptor = this.#socket(isIPv6(address.host) ? familyV6 : familyV4, type);
      const one = Buffer.from(new Int32Array([1]).buffer);
      if (type === streamSocket) this.#calls.setsockopt(descriptor, socketLevel, reuseAddress, one, one.length);
      if (this.#calls.bind(descriptor, encoded, encoded.length) !== 0) {
        const reason = this.#reason();
        closeSync(descriptor);
        throw new Error(`cannot listen on ${formatAddress(address)} inside: ${reason}`);
      }
      return descriptor;
    });
  }

  #socket(family: number, type: number): number {
    const descriptor = this.#calls.socket(family, type | nonBlocking | closeOnExec, 0);
    if (descriptor < 0) throw new Error(`no socket: ${this.#reason()}`);
    return descriptor;
  }

  /** Does something there; nothing else of this thread can come in between. */
  #there<T>(act: () => T): T {
    if (this.#calls.setns(this.#other, networkNamespace) !== 0) throw new Error(`setns: ${this.#reason()}`);
    try {
      return act();
    } finally {
      // A process that stayed there would do all else in the wrong place.
      if (this.#calls.setns(this.#own, networkNamespace) !== 0) process.abort();
    }
  }

  #reason(): string {
    return getSystemErrorName(-this.#calls.errno());
  }
}

function bytesOf(host: string): Uint8Array {
  if (!isIPv6(host)) return Uint8Array.from(host.split('.').map(Number));
  return Uint8Array.from(groupsOf(host).flatMap((group) => [group >> 8, group & 0xff]));
}

/** The eight groups of an IPv6 address without a dotted part. */
function groupsOf(host: string): readonly number[] {
  const [head = [], tail = []] = host.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const zeros: string[] = Array(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
}
