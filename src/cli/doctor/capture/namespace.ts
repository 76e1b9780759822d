// What can be seen from within a sidecar's network namespace: its rules where permitted, and who listens there.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { findListeningSockets, type ListeningSocket, type ProcessFiles } from './listening-sockets.ts';
import { type Family, parseSavedRules, type RuleSet } from './saved-rules.ts';

/** The machine the doctor runs on; a fake stands for it in tests. */
export interface Machine extends ProcessFiles {
  /** What a program writes; undefined when it is not there or fails. */
  run(program: string): string | undefined;
  /** Addresses of its network interfaces. */
  addresses(): readonly string[];
}

export interface Namespace {
  /** By family; a family whose rules may not be read is not there. */
  readonly rules: ReadonlyMap<Family, RuleSet>;
  readonly listening: readonly ListeningSocket[];
  /** Addresses of IPv6 by which others can reach it. */
  readonly addressesV6: readonly string[];
}

const savers: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['iptables-save', 'iptables-legacy-save'],
  ipv6: ['ip6tables-save', 'ip6tables-legacy-save'],
};

/** Looks at the namespace the doctor runs in. */
export function lookAround(machine: Machine): Namespace {
  const rules = new Map<Family, RuleSet>();
  for (const family of ['ipv4', 'ipv6'] as const) {
    // Rules of both kinds of iptables act at once, and each program shows its own.
    const texts = savers[family].map((program) => machine.run(program)).filter((text) => text !== undefined);
    if (texts.length > 0) rules.set(family, parseSavedRules(texts.join('\n')));
  }
  const addressesV6 = machine
    .addresses()
    .filter((address) => address.includes(':') && !/^(::1$|fe[89ab])/i.test(address));
  return { rules, listening: findListeningSockets(machine), addressesV6 };
}

/** Whether an admin address (`host:port`) is on this machine, so that its sidecar shares the doctor's namespace. */
export function isHere(admin: string, machine: Machine): boolean {
  const host = admin.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return host === 'localhost' || /^127\./.test(host) || host === '::1' || machine.addresses().includes(host);
}

/** The machine itself. */
export const thisMachine: Machine = {
  readText: (path) => attempt(() => readFileSync(path, 'latin1')),
  readLink: (path) => attempt(() => readlinkSync(path)),
  list: (path) => attempt(() => readdirSync(path)) ?? [],
  run: (program) => {
    const { status, stdout } = spawnSync(program, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5_000,
    });
    return status === 0 ? stdout : undefined;
  },
  addresses: () => Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
};

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
