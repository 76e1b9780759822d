// The bytes of a request head that came in several pieces: kept for reading, partly handed on already.
import { latin1 } from '../wire/http1/latin1.ts';

const initialBytes = 2048;
const noBytes = Buffer.alloc(0);

/** Accumulates a head; `forwarded` is how much of it has gone to the server as it came. */
export class HeldHead {
  bytes = noBytes;
  length = 0;
  forwarded = 0;

  /** Adds `chunk[from..to)`. */
  append(chunk: Buffer, from: number, to: number): void {
    const size = to - from;
    if (this.length + size > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(initialBytes, (this.length + size) * 2));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    chunk.copy(this.bytes, this.length, from, to);
    this.length += size;
  }

  /** The bytes not handed on yet, as latin1, marked as handed on. */
  take(): string {
    const rest = latin1(this.bytes, this.forwarded, this.length);
    this.forwarded = this.length;
    return rest;
  }

  clear(): void {
    this.length = 0;
    this.forwarded = 0;
    // An idle connection must not keep a head's buffer.
    this.bytes = noBytes;
  }
}
