// What resolv.conf means in a namespace: which of its resolvers are reached from there, and how the others are answered.
import { BlockList, isIP, isIPv6 } from 'node:net';

/** A resolver that has to be asked from the machine's own namespace. */
export interface RelayedResolver {
  /** Where the namespace asks it. */
  readonly inside: string;
  /** Where it is; a link-local address names its interface. */
  readonly upstream: string;
}

export interface ResolverPlan {
  readonly relayed: readonly RelayedResolver[];
  /** The file as the namespace has to see it; undefined when the machine's own does. */
  readonly replacement: string | undefined;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');
const linkLocal = new BlockList();
linkLocal.addSubnet('fe80::', 10, 'ipv6');

/** 127.0.0.54 and on: .53 is somebody's already where systemd-resolved is. */
const firstStandIn = 54;

export function isLoopback(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Sorts the resolvers of a resolv.conf (resolv.conf(5)). One on loopback is answered at that very address inside, and one
 * that cannot be reached from there (link-local, or IPv6 without IPv6) by a stand-in, which takes its place in
 * the file; all else in the file stays as it is.
 * @param text '' when there is none
 * @param hasV6 whether the namespace has IPv6
 */
export function planResolvers(text: string, hasV6: boolean): ResolverPlan {
  const written = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].map(([, address = '']) => address);
  const known = [...new Set(written)].filter((address) => isIP(address) !== 0);
  // What resolvers of C libraries do when none is named.
  const asked = known.length > 0 ? known : ['127.0.0.1'];
  const relayed: RelayedResolver[] = [];
  const renamed = new Map<string, string>();
  for (const address of asked) {
    const isLocal = isLoopback(address);
    if (isLocal && (hasV6 || !isIPv6(address))) relayed.push({ inside: address, upstream: address });
    else if (isLocal || linkLocal.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') || (isIPv6(address) && !hasV6)) {
      renamed.set(address, standIn([...asked, ...renamed.values()]));
      relayed.push({ inside: renamed.get(address)!, upstream: address });
    }
  }
  if (renamed.size === 0) return { relayed, replacement: undefined };
  const replacement = text.replaceAll(
    /^(nameserver[ \t]+)(\S+)/gm,
    (_, before: string, address: string) => before + (renamed.get(address) ?? address),
  );
  return { relayed, replacement };
}

function standIn(taken: readonly string[]): string {
  let last = firstStandIn;
  while (taken.includes(`127.0.0.${last}`)) last++;
  return `127.0.0.${last}`;
}
