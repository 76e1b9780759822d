// The socket calls of Linux that Node does not have: options of a socket, its addresses as bytes, sockets of our own.
import { createRequire } from 'node:module';
import { getSystemErrorName } from 'node:util';
import type * as Koffi from 'koffi';
import { bytesV6 } from './socket-address.ts';

/** Levels and names of socket options, Linux's numbers (uapi: socket.h, in.h, in6.h, netfilter_ipv4.h). */
export const socketOptions = {
  /** May be bound where another socket, that does not listen, is bound. */
  reuseAddress: { level: 1, name: 2 },
  /** The mark of every packet sent; needs NET_ADMIN. */
  mark: { level: 1, name: 36 },
  /** The port is chosen by `connect`, which knows the other end: it is used up for that end only. */
  bindAddressNoPort: { level: 0, name: 24 },
  /** Takes and makes connections with addresses that are not this machine's; needs NET_ADMIN or NET_RAW. */
  transparentV4: { level: 0, name: 19 },
  transparentV6: { level: 41, name: 75 },
  originalDestinationV4: { level: 0, name: 80 },
  originalDestinationV6: { level: 41, name: 80 },
} as const;

export type SocketOption = (typeof socketOptions)[keyof typeof socketOptions];

/** Each returns 0, or the error's number; addresses are put into buffers of at least `bytesV6`. */
export interface SocketCalls {
  readAddress(descriptor: number, option: SocketOption, into: Buffer): number;
  localAddress(descriptor: number, into: Buffer): number;
  peerAddress(descriptor: number, into: Buffer): number;
  setOption(descriptor: number, option: SocketOption, value: number): number;
  bind(descriptor: number, address: Buffer): number;
  /** A TCP socket that does not block and is closed by an exec; below 0: the error's number, negative. */
  open(family: number): number;
  close(descriptor: number): void;
}

const stream = 1;
const nonBlocking = 0o4000;
const closeOnExec = 0o2000000;

let loaded: SocketCalls | undefined;

/** @throws Error when koffi is not there for this platform */
export function loadSocketCalls(): SocketCalls {
  loaded ??= load();
  return loaded;
}

function load(): SocketCalls {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const libc = koffi.load(null);
  const getsockopt = libc.func('int getsockopt(int, int, int, void *, void *)');
  const setsockopt = libc.func('int setsockopt(int, int, int, void *, uint32_t)');
  const getsockname = libc.func('int getsockname(int, void *, void *)');
  const getpeername = libc.func('int getpeername(int, void *, void *)');
  const socket = libc.func('int socket(int, int, int)');
  const bind = libc.func('int bind(int, void *, uint32_t)');
  const close = libc.func('int close(int)');
  // One of each for all calls: they are over when they return.
  const length = new Uint32Array(1);
  const value = new Int32Array(1);
  const outcome = (result: number): number => (result < 0 ? koffi.errno() : 0);
  const room = () => {
    length[0] = bytesV6;
    return length;
  };
  return {
    readAddress: (descriptor, { level, name }, into) => outcome(getsockopt(descriptor, level, name, into, room())),
    localAddress: (descriptor, into) => outcome(getsockname(descriptor, into, room())),
    peerAddress: (descriptor, into) => outcome(getpeername(descriptor, into, room())),
    setOption(descriptor, { level, name }, to) {
      value[0] = to;
      return outcome(setsockopt(descriptor, level, name, value, 4));
    },
    bind: (descriptor, address) => outcome(bind(descriptor, address, address.length)),
    open(family) {
      const descriptor: number = socket(family, stream | nonBlocking | closeOnExec, 0);
      return descriptor < 0 ? -koffi.errno() : descriptor;
    },
    close: (descriptor) => void close(descriptor),
  };
}

/** The error of a call by its number, as Node's own look. */
export function callError(call: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
}
