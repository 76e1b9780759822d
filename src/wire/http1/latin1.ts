// Bytes as text one character a byte, by the call that costs least.

declare global {
  interface Buffer {
    latin1Slice(start: number, end: number): string;
  }
}

/** `bytes[start..end)` as latin1: lossless, each character is one byte. */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return bytes.latin1Slice(start, end);
}
