// Which addresses a namespace gets, so that it shadows none that the machine reaches, and which routes it has.
import { BlockList, isIPv6 } from 'node:net';
import { UsageError } from '../../../runtime/usage-error.ts';

/** A route as `ip -json route` prints it, as far as it is read here. */
export interface Route {
  /** `default`, an address, or an address with a prefix length. */
  readonly dst: string;
  /** Absent for unicast. */
  readonly type?: string;
  readonly dev?: string;
}

/** One veth pair's addresses of one family. */
export interface Pair {
  readonly host: string;
  readonly inside: string;
  readonly prefixLength: number;
  /** Network address and prefix length. */
  readonly subnet: string;
}

/** RFC 2544 (benchmarks) comes first: no network has it, while a free piece of 10/8 may be somebody's behind the gateway. */
const pools: readonly (readonly [string, number])[] = [
  ['198.18.0.0', 15],
  ['100.64.0.0', 10],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['10.0.0.0', 8],
];
const pairPrefixLength = 30;
const triesPerPool = 64;
/** Shorter prefixes mean "everywhere else", as 0.0.0.0/1 of a VPN does, and not a network that one is in. */
const shortestNetwork = 8;

/**
 * A free IPv4 network of four addresses.
 * @param random an integer from 0 to `limit` - 1
 * @throws UsageError when every private range is in some route
 */
export function chooseV4(routes: readonly Route[], random: (limit: number) => number): Pair {
  const used = routes.map(({ dst }) => rangeOf(dst)).filter((range) => range !== undefined);
  for (const [base, length] of pools) {
    for (let i = 0; i < triesPerPool; i++) {
      const first = toNumber(base) + random(2 ** (pairPrefixLength - length)) * 4;
      const last = first + 3;
      if (used.some((range) => range.first <= last && first <= range.last)) continue;
      const [network, host, inside] = [first, first + 1, first + 2].map(toText) as [string, string, string];
      return { host, inside, prefixLength: pairPrefixLength, subnet: `${network}/${pairPrefixLength}` };
    }
  }
  throw new UsageError('--netns: no addresses are free: every private IPv4 range is in a route of this machine');
}

/** A network of unique local addresses (RFC 4193: 40 random bits, so that no other has them). */
export function chooseV6(random: (limit: number) => number): Pair {
  const group = () => random(0x10000).toString(16);
  const prefix = `fd${random(0x100).toString(16).padStart(2, '0')}:${group()}:${group()}`;
  return { host: `${prefix}::1`, inside: `${prefix}::2`, prefixLength: 64, subnet: `${prefix}::/64` };
}

/**
 * The destinations that a namespace is to have routes for: a call to an address that the machine cannot reach has to fail
 * there as it fails on the machine, at once.
 */
export function destinationsOf(routes: readonly Route[]): readonly string[] {
  const reached = routes.filter(({ dst, type = 'unicast' }) => ['unicast', 'local'].includes(type) && isGlobal(dst));
  if (reached.some(({ dst }) => isDefault(dst))) return ['default'];
  return [...new Set(reached.map(({ dst }) => dst))];
}

function isDefault(dst: string): boolean {
  const length = dst.split('/')[1];
  return dst === 'default' || (length !== undefined && Number(length) < shortestNetwork);
}

const local = new BlockList();
local.addSubnet('127.0.0.0', 8);
local.addAddress('::1', 'ipv6');
local.addSubnet('fe80::', 10, 'ipv6');
local.addSubnet('ff00::', 8, 'ipv6');

function isGlobal(dst: string): boolean {
  if (dst === 'default') return true;
  const [address = ''] = dst.split('/');
  return !local.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** The first and last address of a network; undefined for what is everywhere. */
function rangeOf(dst: string): { readonly first: number; readonly last: number } | undefined {
  if (isDefault(dst)) return undefined;
  const [address = '', length = '32'] = dst.split('/');
  const size = 2 ** (32 - Number(length));
  const first = Math.floor(toNumber(address) / size) * size;
  return { first, last: first + size - 1 };
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
