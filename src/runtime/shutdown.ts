// SIGTERM and SIGINT: drain once, then exit; a second signal exits at once.
import type { Log } from './log.ts';
import { errorMessage } from './usage-error.ts';

/** A terminal signals a whole group at once, and a supervisor passes on what it got: that is one signal, not two. */
const sameSignalMs = 500;

/** Runs `drain` on the first SIGTERM or SIGINT and exits 0 when it is done, 1 when it throws. */
export function drainOnSignal(log: Log, drain: () => Promise<void>): void {
  let firstMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstMs !== undefined) {
      if (performance.now() - firstMs > sameSignalMs) process.exit(signal === 'SIGINT' ? 130 : 143);
      return;
    }
    firstMs = performance.now();
    log.info({ signal }, 'draining');
    drain().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error: errorMessage(error) }, 'drain failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}
