// How large bodies look on the wire, known to the end that sends them and to the end that counts them.

const chunkBytes = 64 * 1024;

/** One chunk of 64 KiB with its framing. */
export const chunkFrame = Buffer.from(`${chunkBytes.toString(16)}\r\n${'x'.repeat(chunkBytes)}\r\n`);
export const lastChunk = '0\r\n\r\n';

export type BulkKind = 'down' | 'chunked' | 'up';

/** The bytes on the wire of a chunked body of `bytes`, which is cut down to whole chunks of 64 KiB. */
export function chunkedBytes(bytes: number): number {
  return Math.floor(bytes / chunkBytes) * chunkFrame.length + lastChunk.length;
}
