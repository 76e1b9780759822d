// Random ids from a CSPRNG, drawn in pools so that a request costs no system call.
import { randomFillSync } from 'node:crypto';

/** Small: a pool that outlives two collections of the young generation is promoted, and stays until a full one. */
const poolBytes = 4 << 10;
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
 * The trace's randomness R in [0, 1): the low 56 bits of the trace id (R17, R18), of which the upper 48 are kept, as
 * many as every hop can compare exactly.
 * @param traceId 32 lower-case hex characters
 */
export function randomnessOf(traceId: string): number {
  return hexNumber(traceId, 18, 30) / 2 ** 48;
}

/** The number that `text[from..to)`, lower-case hex, is: parseInt of a slice takes five times as long. */
function hexNumber(text: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    value = value * 16 + (code > 0x39 ? code - 0x57 : code - 0x30);
  }
  return value;
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** Multiples of 10000 that leave room for 9999 below 2^32. */
const requestIdSteps = 429_495;

/**
 * A version 4 UUID whose first eight digits agree with the trace's randomness: their value mod 10000 is
 * 9999 - floor(R * 10^4), so that Envoy's decision on x-request-id and ours are the same to 0.01 % (R18).
 */
export function newRequestId(randomness: number): string {
  const random = take(24);
  const step = hexNumber(random, 0, 6) % requestIdSteps;
  const rid = step * 10_000 + 9999 - Math.floor(randomness * 10_000);
  const first = `${hexOfByte[rid >>> 24]}${hexOfByte[(rid >>> 16) & 255]}${hexOfByte[(rid >>> 8) & 255]}${hexOfByte[rid & 255]}`;
  const variant = '89ab'[random.charCodeAt(6) & 3]!;
  return `${first}-${random.slice(7, 11)}-4${random.slice(11, 14)}-${variant}${random.slice(14, 17)}-${take(12)}`;
}
