// Ports for the demo's children: usual ones where they are free, else any that the kernel says are free.
import { createServer } from 'node:net';
import { close, listen } from '../../runtime/listen.ts';

/**
 * As many free loopback ports as `wanted` has entries, all different. An entry is the port to prefer, or 0 for any.
 * They are free when this resolves; somebody else may still take one before it is used.
 */
export async function pickPorts(wanted: readonly number[]): Promise<number[]> {
  const held = await Promise.all(wanted.map(hold));
  await Promise.all(held.map(({ server }) => close(server)));
  return held.map(({ port }) => port);
}

// All are held at once, so that the kernel cannot hand out the same port twice.
async function hold(port: number) {
  const server = createServer();
  try {
    return { server, port: (await listen(server, { host: '127.0.0.1', port }, 'demo')).port };
  } catch {
    const other = createServer();
    return { server: other, port: (await listen(other, { host: '127.0.0.1', port: 0 }, 'demo')).port };
  }
}
