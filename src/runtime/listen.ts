// Binding a server's port, with a taken or forbidden port told in one line.
import type { Server } from 'node:net';
import { type Address, formatAddress } from './address.ts';
import { errorCode, errorMessage, UsageError } from './usage-error.ts';

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken by another process; stop it or choose another port',
  EACCES: 'no permission to bind this port; choose one above 1023',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'the host name does not resolve',
};

/**
 * Listens on an address; resolves with the address really bound (the port when 0 was asked for).
 * @param what names the flag or the use of the port in the error
 * @throws UsageError when it cannot be bound
 */
export function listen(server: Server, address: Address, what: string, backlog = 4096): Promise<Address> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      const reason = reasons[errorCode(error) ?? ''] ?? errorMessage(error);
      reject(new UsageError(`${what}: cannot listen on ${formatAddress(address)}: ${reason}`));
    };
    server.once('error', failed);
    const { host, port, descriptor } = address;
    const where = descriptor === undefined ? { host, port } : { fd: descriptor };
    server.listen(where, backlog, () => {
      server.off('error', failed);
      const bound = server.address();
      resolve({ host, port: typeof bound === 'object' && bound !== null ? bound.port : port });
    });
  });
}

/** Stops accepting and resolves when the server has closed; open connections are cut after `graceMs`. */
export function close(server: Server & { closeAllConnections?: () => void }, graceMs = 0): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections?.(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
