// What bounds one connection in time: silence, and spans in a second.

/** Tells since when a connection has been silent, from what its byte counters say at each look. */
export class SilenceWatch {
  #bytes = 0;
  #sinceMs: number;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** For how long nothing has moved, given all bytes so far. */
  silentForMs(bytes: number, nowMs: number): number {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }
}

/** Lets so many spans through in each second of the clock (R11: floods pass, their spans do not). */
export class SpanAllowance {
  readonly #perSecond: number;
  #second = 0;
  #used = 0;

  /** @param perSecond 0: no limit */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether there is room for one more; uses it up. */
  take(nowMs: number): boolean {
    if (this.#perSecond === 0) return true;
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#used = 0;
    }
    return ++this.#used <= this.#perSecond;
  }
}

/** Tells when one head has been on its way for too long, from what the reader says at each look. */
export class SlowHeadWatch {
  #sinceMs = 0;
  #after = 0;

  /**
   * @param inHead whether a head is on its way
   * @param requests how many were complete before it: another number is another head
   * @param timeoutMs 0: never
   */
  isTooSlow(inHead: boolean, requests: number, nowMs: number, timeoutMs: number): boolean {
    if (timeoutMs === 0 || !inHead) {
      this.#sinceMs = 0;
      return false;
    }
    if (this.#sinceMs === 0 || this.#after !== requests) {
      this.#sinceMs = nowMs;
      this.#after = requests;
    }
    return nowMs - this.#sinceMs >= timeoutMs;
  }
}
