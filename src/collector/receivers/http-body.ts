// Reads and unpacks request bodies, both bounded.
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, inflate, inflateRaw } from 'node:zlib';
import { errorCode } from '../../runtime/usage-error.ts';

export type Body =
  | { readonly kind: 'body'; readonly bytes: Uint8Array }
  | { readonly kind: 'too-large' }
  /** The body does not unpack. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  | { readonly kind: 'unknown-encoding' }
  /** The client went away: nobody to answer. */
  | { readonly kind: 'aborted' };

const gunzipAsync = promisify(gunzip);
const inflateAsync = promisify(inflate);
const inflateRawAsync = promisify(inflateRaw);

/** The body without its content encoding; `maxBytes` holds before and after unpacking. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const unpack = unpackers.get(encoding);
  if (unpack === undefined) return { kind: 'unknown-encoding' };
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return { kind: 'too-large' };
  const packed = await collect(request, maxBytes);
  if (packed.kind !== 'body') return packed;
  try {
    return { kind: 'body', bytes: await unpack(packed.bytes, maxBytes) };
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') return { kind: 'too-large' };
    return { kind: 'unreadable', reason: `the body is not ${encoding}` };
  }
}

type Unpack = (bytes: Uint8Array, maxOutputLength: number) => Promise<Uint8Array> | Uint8Array;

const unpackers: ReadonlyMap<string, Unpack> = new Map<string, Unpack>([
  ['identity', (bytes) => bytes],
  ['', (bytes) => bytes],
  ['gzip', (bytes, maxOutputLength) => gunzipAsync(bytes, { maxOutputLength })],
  ['x-gzip', (bytes, maxOutputLength) => gunzipAsync(bytes, { maxOutputLength })],
  ['zlib', (bytes, maxOutputLength) => inflateAsync(bytes, { maxOutputLength })],
  // "deflate" is the zlib format (RFC 9110, 8.4.1.2), but some clients send the bare stream under that name.
  [
    'deflate',
    (bytes, maxOutputLength) =>
      hasZlibHeader(bytes) ? inflateAsync(bytes, { maxOutputLength }) : inflateRawAsync(bytes, { maxOutputLength }),
  ],
]);

/** RFC 1950, section 2.2: method 8 in the low bits, and both bytes together a multiple of 31. */
function hasZlibHeader([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
}

function collect(request: IncomingMessage, maxBytes: number): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      // The rest is read and thrown away: a client that is cut off in its upload would not see the answer.
      chunks.length = 0;
      resolve({ kind: 'too-large' });
    });
    request.on('end', () => resolve({ kind: 'body', bytes: Buffer.concat(chunks) }));
    request.on('close', () => resolve({ kind: 'aborted' }));
    request.on('error', () => resolve({ kind: 'aborted' }));
  });
}
