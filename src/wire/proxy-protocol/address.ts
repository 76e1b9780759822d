// Internet addresses from their bytes, as text in the form that RFC 5952 recommends.

/** The four bytes from `start` as a dotted quad. */
export function formatIPv4(bytes: Uint8Array, start: number): string {
  return bytes.subarray(start, start + 4).join('.');
}

/**
 * The sixteen bytes from `start`: lower case, no leading zeros, the first longest run of two or more zero groups as
 * `::` (RFC 5952 section 4), an IPv4-mapped address with its last four bytes as a dotted quad (section 5).
 */
export function formatIPv6(bytes: Uint8Array, start: number): string {
  const groups: number[] = [];
  for (let at = start; at < start + 16; at += 2) groups.push(bytes[at]! * 256 + bytes[at + 1]!);
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    return `::ffff:${formatIPv4(bytes, start + 12)}`;
  }
  const [runStart, runLength] = longestZeroRun(groups);
  const text = groups.map((group) => group.toString(16));
  if (runLength < 2) return text.join(':');
  return `${text.slice(0, runStart).join(':')}::${text.slice(runStart + runLength).join(':')}`;
}

/** Where the first of the longest runs of zeros begins, and its length. */
function longestZeroRun(groups: readonly number[]): readonly [start: number, length: number] {
  let best: readonly [number, number] = [0, 0];
  let length = 0;
  for (const [at, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length > best[1]) best = [at - length + 1, length];
  }
  return best;
}
