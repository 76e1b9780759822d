// Wall-clock times of spans: monotonic between corrections, so that durations do not jump with the system's clock.

const checkIntervalMs = 10_000;
/** `Date.now()` is good to a millisecond: less than this is not a difference. */
const toleranceMs = 1.5;

let epochMs = performance.timeOrigin;

// Over weeks the monotonic clock and the wall clock drift apart; spans of one trace come from many machines.
setInterval(() => {
  epochMs = correctedEpoch(epochMs, Date.now(), performance.now());
}, checkIntervalMs).unref();

/** The epoch for monotonic time 0: kept unless it has drifted from the wall clock by more than its resolution. */
export function correctedEpoch(currentMs: number, wallMs: number, monotonicMs: number): number {
  const wanted = wallMs + 0.5 - monotonicMs;
  return Math.abs(wanted - currentMs) > toleranceMs ? wanted : currentMs;
}

/** Milliseconds since the Unix epoch, with sub-millisecond fraction. */
export function nowMs(): number {
  return epochMs + performance.now();
}
