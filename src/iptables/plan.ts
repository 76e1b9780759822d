// What is to be there: which families, and the rules of each.
import type { Family } from './cidr.ts';
import type { IptablesConfig, RuleKind } from './config.ts';
import { istioRules } from './istio-rules.ts';
import type { FamilyRules } from './rules.ts';
import type { System } from './system.ts';
import { tracecarRules } from './tracecar-rules.ts';

const generators: Readonly<Record<RuleKind, (config: IptablesConfig, family: Family) => FamilyRules>> = {
  tracecar: tracecarRules,
  istio: istioRules,
};

/** The rules of the given families: a pure function of the configuration. */
export function planRules(config: IptablesConfig, families: readonly Family[]): FamilyRules[] {
  return families.map((family) => generators[config.kind](config, family));
}

/**
 * The families to capture. With `auto`, IPv6 is captured as soon as any interface has an IPv6 address, a link-local one
 * included: else a pod's IPv6 traffic would pass unseen. `::1`, and the `::6` we may have added, do not count.
 * @param interfaces the text of /proc/net/if_inet6, undefined where the kernel has no IPv6
 */
export function findFamilies(ipv6: IptablesConfig['ipv6'], interfaces: string | undefined): Family[] {
  const isAsked = ipv6 === 'on' || (ipv6 === 'auto' && hasIpv6Address(interfaces ?? ''));
  return isAsked ? ['ipv4', 'ipv6'] : ['ipv4'];
}

function hasIpv6Address(interfaces: string): boolean {
  return interfaces
    .split('\n')
    .filter((line) => line.trim() !== '')
    .some((line) => !/^0{31}[16] .*\slo$/.test(line.trim()));
}

/** The families of this network namespace. */
export function familiesHere(config: IptablesConfig, system: System): Family[] {
  return findFamilies(config.ipv6, system.readText('/proc/net/if_inet6'));
}

/** Groups by id, as rules have them once they are set. @returns undefined when a name is of no group here */
export function findGroupId(name: string, groups: string): string | undefined {
  if (/^\d+$/.test(name)) return name;
  const line = groups.split('\n').find((entry) => entry.startsWith(`${name}:`));
  return line?.split(':')[2];
}
