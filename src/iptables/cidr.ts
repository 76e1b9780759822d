// Address ranges in CIDR form: parsed, told apart by family, and compared whatever way they are written.
import { isIP } from 'node:net';
import { UsageError } from '../runtime/usage-error.ts';

export type Family = 'ipv4' | 'ipv6';

export interface Cidr {
  readonly family: Family;
  /** As it is written into a rule: the operator's text, with `/32` or `/128` added to a bare address. */
  readonly text: string;
  /** The first address of the range, as a number. */
  readonly network: bigint;
  /** Length of the prefix: 0 to 32, or 0 to 128. */
  readonly bits: number;
}

const widths: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 };

function ipv4Number(text: string): bigint {
  return text.split('.').reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

function ipv6Number(text: string): bigint {
  const lastColon = text.lastIndexOf(':');
  const embedded = text.slice(lastColon + 1);
  // RFC 4291 §2.2.3: the last 32 bits may be written as an IPv4 address.
  const whole = embedded.includes('.') ? `${text.slice(0, lastColon)}:${hexGroups(ipv4Number(embedded))}` : text;
  const [head = '', tail] = whole.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...zeros, ...after].reduce((number, group) => (number << 16n) | BigInt(`0x${group}`), 0n);
}

function hexGroups(number: bigint): string {
  return `${(number >> 16n).toString(16)}:${(number & 0xffffn).toString(16)}`;
}

/** The range a text stands for, or undefined: `10.0.0.0/8`, `2001:db8::/32`, or an address alone. Bits of the host are cut off. */
export function findCidr(text: string): Cidr | undefined {
  const [address = '', bitsText, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0 || address.includes('%')) return undefined;
  const family: Family = version === 4 ? 'ipv4' : 'ipv6';
  const width = widths[family];
  const bits = bitsText === undefined ? width : Number(bitsText);
  if (bitsText !== undefined && (!/^\d{1,3}$/.test(bitsText) || bits > width)) return undefined;
  const hostBits = BigInt(width - bits);
  const number = version === 4 ? ipv4Number(address) : ipv6Number(address);
  return { family, text: `${address}/${bits}`, network: (number >> hostBits) << hostBits, bits };
}

/**
 * Parses a comma-separated list of ranges; empty entries are skipped, as Istio's init does.
 * @throws UsageError naming `what` and the entry that is no range
 */
export function parseCidrs(text: string, what: string): Cidr[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      const cidr = findCidr(entry);
      if (cidr === undefined) throw new UsageError(`${what}: "${entry}" is not an address range; write 10.0.0.0/8`);
      return cidr;
    });
}

/** Is the range part of 127.0.0.0/8, or ::1? */
export function isLoopback({ family, network, bits }: Cidr): boolean {
  return family === 'ipv4' ? bits >= 8 && network >> 24n === 127n : bits === 128 && network === 1n;
}

/** One text for each range, however it was written. */
export function cidrKey({ family, network, bits }: Cidr): string {
  return `${family}:${network.toString(16)}/${bits}`;
}
