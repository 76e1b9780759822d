// SIGTERM and SIGINT: drain once, then exit; a second signal exits at once.
import type { Log } from './log.ts';
import { errorMessage } from './usage-error.ts';

/** A terminal signals a whole group at once, and a supervisor passes on what it got: that is one signal, not two. */
const sameSignalMs = 500;

/**
 * Runs `drain` on the first SIGTERM or SIGINT and exits 0 when it is done, 1 when it throws.
 * @returns does the same when called; a first signal after that changes nothing
 */
export function drainOnSignal(log: Log, drain: () => Promise<void>): () => void {
  let firstSignalMs: number | undefined;
  let draining = false;
  const stop = (why: object) => {
    if (draining) return;
    draining = true;
    log.info(why, 'draining');
    drain().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error: errorMessage(error) }, 'drain failed');
        process.exit(1);
      },
    );
  };
  const onSignal = (signal: NodeJS.Signals) => {
    firstSignalMs ??= performance.now();
    if (performance.now() - firstSignalMs > sameSignalMs) process.exit(signal === 'SIGINT' ? 130 : 143);
    stop({ signal });
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return () => stop({});
}
