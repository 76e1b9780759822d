// Random ids from a CSPRNG, drawn in pools so that a request costs no system call.
import { randomFillSync } from 'node:crypto';

const poolBytes = 32 << 10;
const pool = Buffer.allocUnsafeSlow(poolBytes);
/** The pool as hexadecimal text; ids are slices of it, which copy nothing. */
let hex = '';
let offset = 0;

function take(characters: number): string {
  if (offset + characters > hex.length) {
    randomFillSync(pool);
    hex = pool.toString('hex');
    offset = 0;
  }
  const text = hex.slice(offset, offset + characters);
  offset += characters;
  return text;
}

/** 16 random lower-case hex characters, never all zero (W3C Trace Context section 3.2.2.4). */
export function newSpanId(): string {
  const id = take(16);
  return id === '0000000000000000' ? newSpanId() : id;
}

/** 32 random lower-case hex characters, never all zero (W3C Trace Context section 3.2.2.3). */
export function newTraceId(): string {
  const id = take(32);
  return id === '00000000000000000000000000000000' ? newTraceId() : id;
}

/**
 * The trace's randomness R in [0, 1): the low 56 bits of the trace id (R17, R18), at the 52 bits a double keeps.
 * @param traceId 32 lower-case hex characters
 */
export function randomnessOf(traceId: string): number {
  return Number.parseInt(traceId.slice(18, 31), 16) / 2 ** 52;
}

/**
 * A version 4 UUID whose first eight digits agree with the trace's randomness: their value mod 10000 is
 * 9999 - floor(R * 10^4), so that Envoy's decision on x-request-id and ours are the same to 0.01 % (R18).
 */
export function newRequestId(traceId: string): string {
  const random = take(32);
  const wanted = 9999 - Math.floor(randomnessOf(traceId) * 10_000);
  const high = Math.floor(Number.parseInt(random.slice(0, 8), 16) / 10_000);
  let rid = high * 10_000 + wanted;
  if (rid > 0xffffffff) rid -= 10_000;
  const first = rid.toString(16).padStart(8, '0');
  const variant = '89ab'[Number.parseInt(random[16]!, 16) & 3]!;
  return `${first}-${random.slice(8, 12)}-4${random.slice(13, 16)}-${variant}${random.slice(17, 20)}-${random.slice(20)}`;
}
