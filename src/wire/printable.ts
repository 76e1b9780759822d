// Text that a stranger sent, made fit for an attribute, a metric or a log line.

/** `bytes[start..end)` as text, one character a byte. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

/** The text with every character that is no printable ASCII replaced by `?`. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
