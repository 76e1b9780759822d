// Reads and unpacks request bodies: each bounded, and all that are being read at a time together.
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, inflate, inflateRaw } from 'node:zlib';
import { errorCode } from '../../runtime/usage-error.ts';

export type Body =
  | { readonly kind: 'body'; readonly bytes: Uint8Array }
  | { readonly kind: 'too-large' }
  /** Too much is being read already. */
  | { readonly kind: 'overload' }
  /** The body does not unpack. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  | { readonly kind: 'unknown-encoding' }
  /** The client went away: nobody to answer. */
  | { readonly kind: 'aborted' };

const gunzipAsync = promisify(gunzip);
const inflateAsync = promisify(inflate);
const inflateRawAsync = promisify(inflateRaw);

/** Bytes that may be held at a time, over all requests. */
export class ByteBudget {
  private left: number;

  constructor(bytes: number) {
    this.left = bytes;
  }

  /** False, and nothing is taken, when so much is not left. */
  take(bytes: number): boolean {
    if (bytes > this.left) return false;
    this.left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.left += bytes;
  }
}

/** The body without its content encoding; `maxBytes` holds before and after unpacking. */
export async function readBody(request: IncomingMessage, maxBytes: number, budget: ByteBudget): Promise<Body> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const unpack = unpackers.get(encoding);
  if (unpack === undefined) return { kind: 'unknown-encoding' };
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return { kind: 'too-large' };
  const held = new HeldBytes(budget);
  try {
    const packed = await collect(request, maxBytes, held);
    if (packed.kind !== 'body') return packed;
    return { kind: 'body', bytes: await unpack(packed.bytes, maxBytes) };
  } catch (error) {
    if (errorCode(error) === 'ERR_BUFFER_TOO_LARGE') return { kind: 'too-large' };
    return { kind: 'unreadable', reason: `the body is not ${encoding}` };
  } finally {
    held.release();
  }
}

/** One request's share of the budget; after its release nothing more is taken. */
class HeldBytes {
  private readonly budget: ByteBudget;
  private bytes = 0;
  private isReleased = false;

  constructor(budget: ByteBudget) {
    this.budget = budget;
  }

  take(bytes: number): boolean {
    if (this.isReleased || !this.budget.take(bytes)) return false;
    this.bytes += bytes;
    return true;
  }

  release(): void {
    this.isReleased = true;
    this.budget.give(this.bytes);
    this.bytes = 0;
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

function collect(request: IncomingMessage, maxBytes: number, held: HeldBytes): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    // The rest of a refused body is read and thrown away: a client cut off in its upload would not see the answer.
    const refuse = (kind: 'too-large' | 'overload') => {
      chunks.length = 0;
      resolve({ kind });
    };
    request.on('data', (chunk: Buffer) => {
      size += chunk.byteLength;
      if (size > maxBytes) refuse('too-large');
      else if (!held.take(chunk.byteLength)) refuse('overload');
      else chunks.push(chunk);
    });
    request.on('end', () => resolve({ kind: 'body', bytes: Buffer.concat(chunks) }));
    request.on('close', () => resolve({ kind: 'aborted' }));
    request.on('error', () => resolve({ kind: 'aborted' }));
  });
}
