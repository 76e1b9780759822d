// When a draining sidecar may end: nobody is connected, and nobody has come for a while.
import { setTimeout as sleep } from 'node:timers/promises';
import type { SidecarConfig } from './config.ts';
import type { Connections } from './open-connection.ts';
import type { SidecarStats } from './stats.ts';

const pollMs = 50;

/**
 * Resolves when no connection has been open for `drainQuietMs`, or after `drainTimeoutMs`. Callers need a moment to learn
 * that this instance is going; one that opens a connection for each request would else be refused between two of them.
 * A sidecar that has never had a connection waits for nobody.
 */
export async function quiet(
  connections: Connections,
  { inbound, outbound }: SidecarStats,
  { drainQuietMs, drainTimeoutMs }: Pick<SidecarConfig, 'drainQuietMs' | 'drainTimeoutMs'>,
): Promise<void> {
  const accepted = () => inbound.connectionsTotal + outbound.connectionsTotal;
  const deadlineMs = performance.now() + drainTimeoutMs;
  let seen = accepted();
  let busyMs = seen === 0 ? Number.NEGATIVE_INFINITY : performance.now();
  for (;;) {
    const now = performance.now();
    if (connections.size > 0 || accepted() !== seen) busyMs = now;
    seen = accepted();
    if (now >= deadlineMs || (connections.size === 0 && now - busyMs >= drainQuietMs)) return;
    await sleep(pollMs);
  }
}
