// SIGTERM and SIGINT: drain once, then exit; a second signal exits at once.
import type { Log } from './log.ts';
import { errorMessage } from './usage-error.ts';

/** Runs `drain` on the first SIGTERM or SIGINT and exits 0 when it is done, 1 when it throws. */
export function drainOnSignal(log: Log, drain: () => Promise<void>): void {
  let draining = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (draining) process.exit(signal === 'SIGINT' ? 130 : 143);
    draining = true;
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
