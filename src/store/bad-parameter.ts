// A query parameter that cannot be used, and the readers of numbers, ids, durations and times that throw it.

/** The caller's mistake: answered with 400 and the message. */
export class BadParameter extends Error {
  readonly code = 'BAD_PARAMETER';
  readonly fault = 'client';
  override readonly name = 'BadParameter';
}

const nanosPerUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
  d: 86_400e9,
};

/** Nanoseconds of a Go duration (`1h30m`, `1.5s`, `100us`); `d` for days too. Undefined when it is none. */
export function findDurationNano(text: string): bigint | undefined {
  if (text === '0') return 0n;
  const parts = [...text.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) return undefined;
  return BigInt(Math.round(parts.reduce((sum, part) => sum + Number(part[1]) * nanosPerUnit[part[2]!]!, 0)));
}

/** @throws BadParameter naming `name` */
export function parseDurationNano(name: string, text: string): bigint {
  const duration = findDurationNano(text);
  if (duration === undefined) {
    throw new BadParameter(
      `unable to parse param '${name}': invalid duration "${text}"; write for example 100ms or 1.2s`,
    );
  }
  return duration;
}

/** @throws BadParameter naming `name` */
export function parseInteger(name: string, text: string): number {
  const number = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(number)) {
    throw new BadParameter(`unable to parse param '${name}': "${text}" is not a whole number`);
  }
  return number;
}

/** Nanoseconds since 1970 of an RFC 3339 time, with up to nine digits of a second. @throws BadParameter */
export function parseTimeNano(name: string, text: string): bigint {
  const match = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]!.toUpperCase()}${match[3]!.toUpperCase()}`);
  if (match === null || Number.isNaN(ms)) {
    throw new BadParameter(
      `malformed parameter ${name}: "${text}" is not a time; write for example 2024-01-31T12:00:00Z`,
    );
  }
  return BigInt(ms) * 1_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** A trace id as stored, from 1 to 32 hex characters. @throws BadParameter naming `name` */
export function parseTraceId(name: string, text: string): string {
  if (!/^[0-9a-fA-F]{1,32}$/.test(text)) {
    throw new BadParameter(`${name}: "${text}" is not a trace id; it has 1 to 32 hexadecimal characters`);
  }
  return text.toLowerCase().padStart(32, '0');
}
