// Waiting for what another process will show, with a bound and a name for what did not come.
import { setTimeout as sleep } from 'node:timers/promises';

/** Calls `check` until it returns a value other than undefined and false; throws naming `what` after `timeoutMs`. */
export async function eventually<T>(
  what: string | (() => string),
  check: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`);
    await sleep(15);
  }
}
