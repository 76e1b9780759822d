// Asking again until there is something, for what takes a backend a moment.
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 150;

/** The first count above zero within the time, else the last one (zero). Rejects as `count` does. */
export async function eventually(timeoutMs: number, count: () => Promise<number>): Promise<number> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await count();
    if (found > 0 || Date.now() >= deadline) return found;
    await sleep(pollMs);
  }
}
