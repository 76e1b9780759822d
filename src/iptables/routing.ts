// What transparent rules need beside themselves: a policy route for marked packets, and `::6` for Istio's inbound leg.
import type { Family } from './cidr.ts';
import { familyNames } from './failure.ts';
import { type RoutingItem, tproxyMark, tproxyTable } from './rules.ts';
import type { Command, System } from './system.ts';

const flag: Readonly<Record<Family, string>> = { ipv4: '-4', ipv6: '-6' };

/** The command of `ip` that adds or removes an item. */
export function routingCommand(family: Family, item: RoutingItem, verb: 'add' | 'del'): Command {
  const ip = ['ip', flag[family]] as const;
  if (item === 'rule') return [...ip, 'rule', verb, 'fwmark', String(tproxyMark), 'lookup', String(tproxyTable)];
  if (item === 'route') {
    return [...ip, 'route', verb, 'local', 'default', 'dev', 'lo', 'table', String(tproxyTable)];
  }
  return [...ip, 'addr', verb, '::6/128', 'dev', 'lo'];
}

const questions: Readonly<Record<RoutingItem, { readonly ask: readonly string[]; readonly answer: RegExp }>> = {
  rule: { ask: ['rule', 'show'], answer: new RegExp(`fwmark 0x${tproxyMark.toString(16)} lookup ${tproxyTable}\\b`) },
  route: { ask: ['route', 'show', 'table', String(tproxyTable)], answer: /^local default dev lo\b/m },
  address: { ask: ['-o', 'addr', 'show', 'dev', 'lo'], answer: /inet6 ::6\/128/ },
};

/** Is the item there? Without the program `ip` nothing of ours can be. */
export function hasRoutingItem(system: System, family: Family, item: RoutingItem): boolean {
  const { ask, answer } = questions[item];
  // Asking for a table that has no route yet is an error to `ip`, and to us an empty answer.
  return answer.test(system.run(['ip', flag[family], ...ask]).stdout);
}

/** @throws Error with one line on why `ip` refused */
export function changeRouting(system: System, family: Family, item: RoutingItem, verb: 'add' | 'del'): void {
  const command = routingCommand(family, item, verb);
  const result = system.run(command);
  if (result.status === 0) return;
  if (result.isMissing) throw new Error(`ip is not installed; "${command.join(' ')}" needs it: install iproute2`);
  const said = result.stderr.trim().split('\n')[0] ?? '';
  throw new Error(`${familyNames[family]}: "${command.join(' ')}" failed: ${said}`);
}
