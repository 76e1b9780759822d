// Log-linear histogram of microseconds, the layout of open-loop/histogram.go: exact below 256, at most 0.8 % wide above.

const buckets = 128 * 34;

/** Counts of one width each up to 256 µs, then 128 buckets for every power of two. */
export class Histogram {
  readonly #counts = new Float64Array(buckets);
  count = 0;
  maxUs = 0;

  /** Counts one value. */
  add(us: number): void {
    const whole = Math.max(0, Math.floor(us));
    const shift = whole < 256 ? 0 : 24 - Math.clz32(whole);
    this.addBuckets([[Math.min(buckets - 1, shift * 128 + Math.floor(whole / 2 ** shift)), 1]]);
    this.maxUs = Math.max(this.maxUs, whole);
  }

  /** Adds counts by bucket, as the generator prints them. */
  addBuckets(pairs: readonly (readonly [index: number, count: number])[]): void {
    for (const [index, count] of pairs) {
      this.#counts[index] = (this.#counts[index] ?? 0) + count;
      this.count += count;
    }
  }

  /** The buckets that are not empty. */
  sparse(): [number, number][] {
    return [...this.#counts.entries()].filter(([, count]) => count > 0);
  }

  merge(other: Histogram): void {
    this.addBuckets(other.sparse());
    this.maxUs = Math.max(this.maxUs, other.maxUs);
  }

  /** The value, in milliseconds, that `percent` of the values do not pass; NaN when nothing was counted. */
  percentileMs(percent: number): number {
    if (percent >= 100) return this.maxUs / 1000;
    let left = Math.max(1, Math.ceil((this.count * percent) / 100));
    for (const [index, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return upperUs(index) / 1000;
    }
    return Number.NaN;
  }
}

/** The largest value of a bucket. */
function upperUs(index: number): number {
  if (index < 256) return index;
  const shift = Math.floor(index / 128) - 1;
  return (index - shift * 128 + 1) * 2 ** shift - 1;
}
