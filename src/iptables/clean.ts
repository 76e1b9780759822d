// Takes away everything that `apply` may ever have set, whole or in part, and nothing else.
import { type Backend, families, findRules, installedBackends, restoreRules } from './backend.ts';
import type { RuleKind } from './config.ts';
import { familyNames, requireNetAdmin } from './failure.ts';
import { changeRouting, hasRoutingItem } from './routing.ts';
import { findTarget } from './rule-key.ts';
import { isBuiltIn, type RoutingItem } from './rules.ts';
import { emptyTable, isOwnChain, ownTable, type SavedTable } from './saved-rules.ts';
import type { System } from './system.ts';
import { transaction } from './transaction.ts';

export interface CleanReport {
  /** What was removed, e.g. `IPv4 nat: removed`; empty when nothing was there. */
  readonly changes: readonly string[];
  /** Chains of the other kind that are still there, for they may be Istio's own. */
  readonly left: readonly string[];
}

/**
 * Removes the chains of one kind from both families of both variants of iptables, the policy routes, and for Istio's
 * kind the address `::6`.
 * @throws Error with one line on what is in the way
 */
export function cleanRules(kind: RuleKind, system: System): CleanReport {
  requireNetAdmin(system);
  const backends = installedBackends(system);
  if (backends.length === 0) {
    throw new Error('iptables is not installed (no iptables-save on PATH); install the package iptables');
  }
  const changes = backends.flatMap((backend) => removeRules(kind, system, backend));
  const left = backends.flatMap((backend) => chainsOfOtherKind(kind, system, backend));
  // A policy route is shared with the other kind's chains: with those there, it may be theirs.
  const routing: RoutingItem[] = [...(left.length > 0 ? [] : (['rule', 'route'] as const))];
  return { changes: [...changes, ...removeRouting(kind, system, routing)], left: [...new Set(left)] };
}

/** Removes the chains of one kind from one variant. @returns what was removed, a line for each table */
export function removeRules(kind: RuleKind, system: System, backend: Backend): string[] {
  return families.flatMap((family) =>
    [...(findRules(system, backend, family) ?? [])].flatMap(([table, saved]) => {
      const text = transaction(table, ownTable(kind, saved), emptyTable);
      if (text === undefined) return [];
      const blocker = findBlocker(kind, saved);
      if (blocker !== undefined) {
        throw new Error(`${blocker} of ${table} (${familyNames[family]}) jumps to a chain of ours; remove it first`);
      }
      restoreRules(system, backend, family, text);
      return [`${familyNames[family]} ${table}: removed (${backend.variant})`];
    }),
  );
}

/** A chain of someone else's that leads into ours: ours cannot be removed while it does. */
function findBlocker(kind: RuleKind, { rules }: SavedTable): string | undefined {
  return rules.find(
    ({ chain, spec }) => !isBuiltIn(chain) && !isOwnChain(kind, chain) && isOwnChain(kind, findTarget(spec) ?? ''),
  )?.chain;
}

function chainsOfOtherKind(kind: RuleKind, system: System, backend: Backend): string[] {
  const other: RuleKind = kind === 'istio' ? 'tracecar' : 'istio';
  return families.flatMap((family) =>
    [...(findRules(system, backend, family)?.values() ?? [])].flatMap(({ chains }) =>
      chains.filter((chain) => isOwnChain(other, chain)),
    ),
  );
}

function removeRouting(kind: RuleKind, system: System, items: readonly RoutingItem[]): string[] {
  const all: readonly RoutingItem[] = kind === 'istio' ? [...items, 'address'] : items;
  return families.flatMap((family) =>
    all
      .filter((item) => family === 'ipv6' || item !== 'address')
      .filter((item) => hasRoutingItem(system, family, item))
      .map((item) => {
        // The same rule can be there more than once.
        do changeRouting(system, family, item, 'del');
        while (hasRoutingItem(system, family, item));
        return `${familyNames[family]} ${item}: removed`;
      }),
  );
}
