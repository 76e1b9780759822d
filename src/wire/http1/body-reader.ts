// Finds the end of an HTTP/1 message body (RFC 9112 section 6 and 7), resumable at any byte; counts payload bytes.
import { hexValue, isTokenByte, isValueByte } from './characters.ts';

const CR = 0x0d;
const LF = 0x0a;

const State = {
  done: 0,
  length: 1,
  untilClose: 2,
  sizeFirst: 3,
  size: 4,
  extension: 5,
  sizeLf: 6,
  data: 7,
  dataCr: 8,
  dataLf: 9,
  trailerStart: 10,
  trailerName: 11,
  trailerValue: 12,
  trailerLf: 13,
  endLf: 14,
} as const;

/** 15 hexadecimal digits stay below 2^60, and the sum is checked against 2^53. */
const maxSizeDigits = 13;
const maxExtensionBytes = 4 << 10;
const maxTrailerBytes = 64 << 10;

/** What wants to see a body's payload: pieces in order, without chunk framing. */
export interface PayloadReader {
  read(bytes: Uint8Array, from: number, to: number): void;
}

/** Reads one body after another; `start*` first, then `read` until `done` or `failed`. */
export class BodyReader {
  #state: number = State.done;
  #remaining = 0;
  #digits = 0;
  #extra = 0;
  failed = false;
  /** Payload bytes of this body so far: without chunk framing and trailers. */
  payloadBytes = 0;
  /** Until the body ends. */
  payload: PayloadReader | undefined;

  get done(): boolean {
    return this.#state === State.done;
  }

  /** Whether the body ends with the connection. */
  get untilClose(): boolean {
    return this.#state === State.untilClose;
  }

  startNone(): void {
    this.#begin(State.done);
  }

  startLength(bytes: number): void {
    this.#begin(bytes === 0 ? State.done : State.length);
    this.#remaining = bytes;
  }

  startChunked(): void {
    this.#begin(State.sizeFirst);
  }

  startUntilClose(): void {
    this.#begin(State.untilClose);
  }

  #begin(state: number): void {
    this.#state = state;
    this.#remaining = 0;
    this.#digits = 0;
    this.#extra = 0;
    this.failed = false;
    this.payloadBytes = 0;
    this.payload = undefined;
  }

  /**
   * Reads `bytes[from..to)`.
   * @returns the index after the body's last byte when it ends here, else `to`; on a doubt (`failed`) the index of the
   *   offending byte
   */
  read(bytes: Uint8Array, from: number, to: number): number {
    let p = from;
    while (p < to && this.#state !== State.done) {
      if (this.#state === State.length || this.#state === State.data) {
        const take = Math.min(to - p, this.#remaining);
        if (this.payload !== undefined) this.payload.read(bytes, p, p + take);
        p += take;
        this.payloadBytes += take;
        this.#remaining -= take;
        if (this.#remaining === 0) this.#state = this.#state === State.length ? State.done : State.dataCr;
      } else if (this.#state === State.untilClose) {
        if (this.payload !== undefined) this.payload.read(bytes, p, to);
        this.payloadBytes += to - p;
        p = to;
      } else {
        if (!this.#step(bytes[p]!)) {
          this.failed = true;
          return p;
        }
        p++;
      }
    }
    return p;
  }

  /** One byte of chunk framing; false when it does not belong there. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case State.sizeFirst:
      case State.size:
        return this.#stepSize(byte);
      case State.extension:
        if (byte === CR) this.#state = State.sizeLf;
        else return isValueByte[byte] === 1 && ++this.#extra <= maxExtensionBytes;
        return true;
      case State.sizeLf:
        this.#state = this.#remaining === 0 ? State.trailerStart : State.data;
        this.#extra = 0;
        return byte === LF;
      case State.dataCr:
        this.#state = State.dataLf;
        return byte === CR;
      case State.dataLf:
        this.#state = State.sizeFirst;
        this.#digits = 0;
        return byte === LF;
      default:
        return this.#stepTrailer(byte);
    }
  }

  #stepSize(byte: number): boolean {
    const digit = hexValue[byte]!;
    if (digit !== 255) {
      this.#remaining = this.#remaining * 16 + digit;
      this.#state = State.size;
      return ++this.#digits <= maxSizeDigits;
    }
    if (this.#state === State.sizeFirst) return false;
    if (byte === CR) this.#state = State.sizeLf;
    else if (byte === 0x3b) this.#state = State.extension;
    else return false;
    return true;
  }

  #stepTrailer(byte: number): boolean {
    if (++this.#extra > maxTrailerBytes) return false;
    switch (this.#state) {
      case State.trailerStart:
        this.#state = byte === CR ? State.endLf : State.trailerName;
        return byte === CR || isTokenByte[byte] === 1;
      case State.trailerName:
        if (byte === 0x3a) this.#state = State.trailerValue;
        return byte === 0x3a || isTokenByte[byte] === 1;
      case State.trailerValue:
        if (byte === CR) this.#state = State.trailerLf;
        return byte === CR || isValueByte[byte] === 1;
      case State.trailerLf:
        this.#state = State.trailerStart;
        return byte === LF;
      default:
        this.#state = State.done;
        return byte === LF;
    }
  }
}
