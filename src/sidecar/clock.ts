// Wall-clock times of spans: one epoch taken at start, monotonic from there, so durations never run backwards.

const epochMs = Date.now() - performance.now();

/** Milliseconds since the Unix epoch, with sub-millisecond fraction. */
export function nowMs(): number {
  return epochMs + performance.now();
}
