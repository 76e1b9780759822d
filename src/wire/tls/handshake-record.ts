// The headers of the records that carry a TLS handshake in the clear (RFC 8446 section 5.1), resumable at any byte.

export const recordHeaderBytes = 5;
const handshakeType = 22;
const majorVersion = 3;
const maxMinorVersion = 4;
/** RFC 8446 section 5.1: a longer plaintext record is an error. */
const maxFragmentBytes = 1 << 14;

/** Whether `byte` may be the header's byte at `at`: a handshake record of SSL 3.0 to TLS 1.3. */
export function isRecordHeaderByte(at: number, byte: number): boolean {
  switch (at) {
    case 0:
      return byte === handshakeType;
    case 1:
      return byte === majorVersion;
    case 2:
      return byte <= maxMinorVersion;
    case 3:
      return byte <= maxFragmentBytes >> 8;
    default:
      return true;
  }
}

/** Tells record headers from the fragments of messages between them. */
export class HandshakeRecord {
  #headerAt = 0;
  /** Bytes of the current fragment still to come, once its header is complete. */
  #left = 0;

  get isInFragment(): boolean {
    return this.#headerAt === recordHeaderBytes;
  }

  /** Reads one byte of a header; false when it does not belong there. */
  readHeader(byte: number): boolean {
    if (!isRecordHeaderByte(this.#headerAt, byte)) return false;
    if (this.#headerAt >= 3) this.#left = this.#left * 256 + byte;
    this.#headerAt++;
    // The same section forbids empty fragments of handshake messages; they would make a message endless.
    return !this.isInFragment || (this.#left > 0 && this.#left <= maxFragmentBytes);
  }

  /** Takes of the current fragment what lies in `[from, to)` and returns where that ends. */
  takeFragment(from: number, to: number): number {
    const end = Math.min(to, from + this.#left);
    this.#left -= end - from;
    if (this.#left === 0) this.#headerAt = 0;
    return end;
  }
}
