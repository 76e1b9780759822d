// Exponential back-off with jitter, as the OpenTelemetry Collector's retry_on_failure.

export interface BackoffOptions {
  readonly initialMs: number;
  readonly multiplier: number;
  readonly maxMs: number;
  /** 0.5 spreads each wait over 0.5 to 1.5 times its length. */
  readonly randomization: number;
}

export const defaultBackoff: BackoffOptions = { initialMs: 500, multiplier: 1.5, maxMs: 5_000, randomization: 0.5 };

/** The wait before attempt `retry` (1 is the first repeat), in milliseconds; never less than the peer asked for. */
export function backoffMs(options: BackoffOptions, retry: number, peerDelayMs = 0, random = Math.random): number {
  const base = Math.min(options.maxMs, options.initialMs * options.multiplier ** (retry - 1));
  const spread = 1 - options.randomization + 2 * options.randomization * random();
  return Math.max(peerDelayMs, base * spread);
}
