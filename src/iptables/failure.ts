// What the tools of the machine say when they refuse, in one line that says what to do.
import type { Family } from './cidr.ts';
import type { Command, CommandResult, System } from './system.ts';

export const familyNames: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** Bit of CAP_NET_ADMIN in the masks of /proc/self/status (linux/capability.h). */
const netAdminBit = 12n;

/** @throws Error when this process may not change a network namespace's rules */
export function requireNetAdmin(system: System): void {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(system.readText('/proc/self/status') ?? '')?.[1];
  if (mask === undefined || (BigInt(`0x${mask}`) >> netAdminBit) & 1n) return;
  throw new Error(noPermission);
}

const noPermission =
  'no permission to change iptables: this needs the capability NET_ADMIN (an init container with capabilities.add: [NET_ADMIN], or root)';

/** Kernel parts by the names they have in a rule, and the module that holds each. */
const modules: Readonly<Record<string, string>> = {
  owner: 'xt_owner',
  conntrack: 'xt_conntrack',
  mark: 'xt_mark',
  connmark: 'xt_connmark',
  REDIRECT: 'xt_REDIRECT',
  TPROXY: 'xt_TPROXY',
  MARK: 'xt_mark',
  CONNMARK: 'xt_connmark',
};

/** Why a command of iptables failed, on one line. `input` is what it read, to name the rule that was refused. */
export function describeFailure(command: Command, result: CommandResult, family: Family, input = ''): string {
  const program = command[0];
  const said = `${result.stderr}\n${result.stdout}`;
  if (result.isMissing) return `${program} is not installed; install the package iptables`;
  if (/xtables\.lock/.test(said)) {
    return `${program} cannot open its lock: ${firstLine(said)}; set XTABLES_LOCKFILE to a file that can be written`;
  }
  if (/Permission denied|Operation not permitted|you must be root/i.test(said)) return noPermission;
  return (
    describeMissingPart(said, family, input) ?? `${program} failed (${result.status ?? 'killed'}): ${firstLine(said)}`
  );
}

function describeMissingPart(said: string, family: Family, input: string): string | undefined {
  if (/generation id: (Invalid argument|Protocol not supported)/i.test(said)) {
    return 'the kernel has no nf_tables; try --force-iptables-binary legacy';
  }
  return (
    describeMissingTable(said, family, input) ??
    describeMissingExtension(said, family) ??
    describeRefusal(said, family, input)
  );
}

function describeMissingTable(said: string, family: Family, input: string): string | undefined {
  const named = /initialize (?:ip6?tables )?table [`'](\w+)'/.exec(said)?.[1];
  const isMissing = /do you need to insmod|(TABLE|CHAIN)_ADD failed \((No such file|Operation not supported)/.test(
    said,
  );
  if (named === undefined && !isMissing) return undefined;
  const table = named ?? /^\*(\w+)/.exec(input)?.[1] ?? 'nat';
  const [module, remedy] =
    family === 'ipv4' ? [`iptable_${table}`, ''] : [`ip6table_${table}`, ', or leave IPv6 uncaptured with --ipv6 off'];
  return `the kernel has no table ${table} for ${familyNames[family]}; load the module ${module} (with nft: nft_chain_nat, nft_compat)${remedy}`;
}

function describeMissingExtension(said: string, family: Family): string | undefined {
  const name =
    /Extension (\w+) revision \d+ not supported, missing kernel module/.exec(said)?.[1] ??
    /(?:load|find) (?:match|target) [`'](\w+)'/.exec(said)?.[1];
  if (name === undefined) return undefined;
  const module = modules[name] ?? `xt_${name}`;
  return `the kernel or iptables has no ${name} for ${familyNames[family]}; load the module ${module}`;
}

function describeRefusal(said: string, family: Family, input: string): string | undefined {
  const isUnknown =
    /No chain\/target\/match by that name|RULE_\w+ failed \((No such file|Operation not supported)/.test(said);
  const line = refusedLine(said, input);
  if (!isUnknown && line === undefined) return undefined;
  const parts = [...(line ?? input).matchAll(/-[mj] (\w+)/g)].map(([, part = '']) => part);
  const needed = [...new Set(parts.map((part) => modules[part]).filter((module) => module !== undefined))];
  const remedy = isUnknown && needed.length > 0 ? `; it needs the modules ${needed.join(', ')}` : '';
  const rule = line === undefined ? 'a rule' : `"${line}"`;
  return `the kernel refuses ${rule} for ${familyNames[family]}${remedy} (${firstLine(said)})`;
}

/** The rule that a message names by the number of its line. COMMIT, where a kernel's refusal shows, names none. */
function refusedLine(said: string, input: string): string | undefined {
  const number = /line:? (\d+)(?: failed)?/i.exec(said)?.[1];
  const line = number === undefined ? undefined : input.split('\n')[Number(number) - 1];
  return line?.startsWith('-') ? line : undefined;
}

function firstLine(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.find((line) => line !== '' && !line.startsWith('#')) ?? 'no message';
}
