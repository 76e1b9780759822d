// The number of the descriptor behind a socket of Node's, for system calls that Node does not make.
import type { Server, Socket } from 'node:net';

/** The descriptor of an open server or socket; undefined when it is closed, or on a Node that does not show it. */
export function descriptorOf(endpoint: Server | Socket): number | undefined {
  const handle: unknown = '_handle' in endpoint ? endpoint._handle : undefined;
  const found = typeof handle === 'object' && handle !== null && 'fd' in handle ? handle.fd : undefined;
  return typeof found === 'number' && found >= 0 ? found : undefined;
}
