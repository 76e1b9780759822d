// Looks at every open connection about once a second: time-outs and heartbeats, without a timer of their own for each.
import { nowMs } from './clock.ts';
import type { Connections } from './open-connection.ts';

const maxPeriodMs = 1_000;
const minPeriodMs = 20;

/**
 * Sweeps until the returned function is called.
 * @param intervalsMs the time-outs that depend on it; 0 for those that are off
 */
export function startSweep(connections: Connections, intervalsMs: readonly number[]): () => void {
  const shortest = Math.min(...intervalsMs.filter((ms) => ms > 0), maxPeriodMs * 4);
  const timer = setInterval(
    () => {
      const now = nowMs();
      for (const connection of connections) connection.sweep(now);
    },
    Math.max(minPeriodMs, shortest / 4),
  );
  timer.unref();
  return () => clearInterval(timer);
}
