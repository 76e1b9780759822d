// Brings the rules of this network namespace to what is asked: nothing when they are that already, all of it or nothing.
import { UsageError } from '../runtime/usage-error.ts';
import { type Backend, chooseBackend, families, findRules, readRules, restoreRules } from './backend.ts';
import type { Family } from './cidr.ts';
import type { IptablesConfig, IptablesVariant } from './config.ts';
import { familyNames, requireNetAdmin } from './failure.ts';
import { findForeignMesh } from './foreign.ts';
import { familiesHere, findGroupId, planRules } from './plan.ts';
import { changeRouting, hasRoutingItem } from './routing.ts';
import type { FamilyRules, RoutingItem, TableName } from './rules.ts';
import {
  differingChains,
  emptyTable,
  isEmptyTable,
  type OwnTable,
  ownTable,
  type SavedRules,
  wantedTable,
} from './saved-rules.ts';
import { runSteps, type Step } from './steps.ts';
import type { System } from './system.ts';
import { transaction } from './transaction.ts';

export interface ApplyReport {
  readonly variant: IptablesVariant;
  readonly families: readonly Family[];
  /** What was changed, e.g. `IPv4 nat: added`; empty when everything was there already. */
  readonly changes: readonly string[];
  /** What an earlier, interrupted run had left half done, if so. */
  readonly repaired?: string;
}

/** One table of one family: as it is, and as it is to be. */
interface TableChange {
  readonly family: Family;
  readonly table: TableName;
  readonly before: OwnTable;
  readonly wanted: OwnTable;
}

/**
 * Sets the rules.
 * @throws UsageError when a group of the configuration does not exist here
 * @throws Error with one line on what is missing or in the way; the rules are then as they were
 */
export function applyRules(config: IptablesConfig, system: System): ApplyReport {
  requireNetAdmin(system);
  const resolved = resolveGroups(config, system);
  const wanted = planRules(resolved, familiesHere(resolved, system));
  const { chosen, other } = chooseBackend(system, config.variant);
  const saved = readFamilies(system, chosen, wanted);
  refuseForeign(config, system, saved, other);
  const changes = tableChanges(config, saved, wanted);
  const routing = routingSteps(config, system, wanted);
  const steps = [
    // Marked packets must find their route before there are marks, and as long as there are.
    ...routing.filter(({ verb }) => verb === 'add'),
    ...changes.flatMap((change) => tableSteps(config, system, chosen, change)),
    ...(other === undefined ? [] : residueSteps(config, system, other)),
    ...routing.filter(({ verb }) => verb === 'del'),
  ];
  runSteps(steps, () => verify(config, system, chosen, wanted));
  const repaired = describeRepair(changes, wanted);
  return {
    variant: chosen.variant,
    families: wanted.map(({ family }) => family),
    changes: steps.map(({ label }) => label),
    ...(repaired === undefined ? {} : { repaired }),
  };
}

function resolveGroups(config: IptablesConfig, system: System): IptablesConfig {
  const groups = system.readText('/etc/group') ?? '';
  const resolve = (name: string): string => {
    const id = findGroupId(name, groups);
    if (id === undefined) throw new UsageError(`ISTIO_OUTBOUND_OWNER_GROUPS: there is no group "${name}" here`);
    return id;
  };
  const { ownerGroups, excludedOwnerGroups } = config;
  return {
    ...config,
    ownerGroups: ownerGroups === '*' ? ownerGroups : ownerGroups.map(resolve),
    excludedOwnerGroups: excludedOwnerGroups.map(resolve),
  };
}

/** The rules of every family that is wanted, and of the others where they can be read: there may be old ones. */
function readFamilies(
  system: System,
  backend: Backend,
  wanted: readonly FamilyRules[],
): ReadonlyMap<Family, SavedRules> {
  const saved = new Map<Family, SavedRules>();
  for (const family of families) {
    const isWanted = wanted.some((rules) => rules.family === family);
    const rules = isWanted ? readRules(system, backend, family) : findRules(system, backend, family);
    if (rules !== undefined) saved.set(family, rules);
  }
  return saved;
}

function refuseForeign(
  { kind }: IptablesConfig,
  system: System,
  saved: ReadonlyMap<Family, SavedRules>,
  other: Backend | undefined,
): void {
  for (const family of families) {
    const unseen = other === undefined ? undefined : findRules(system, other, family);
    for (const rules of [saved.get(family), unseen]) {
      const foreign = rules === undefined ? undefined : findForeignMesh(kind, family, rules);
      if (foreign !== undefined) throw new Error(foreign);
    }
  }
}

function tableChanges(
  { kind }: IptablesConfig,
  saved: ReadonlyMap<Family, SavedRules>,
  wanted: readonly FamilyRules[],
): TableChange[] {
  return [...saved].flatMap(([family, tables]) => {
    const rules = wanted.find((plan) => plan.family === family)?.tables ?? [];
    const names = new Set<TableName>([...rules.map(({ table }) => table), ...tables.keys()]);
    return [...names].map((table) => {
      const plan = rules.find((candidate) => candidate.table === table);
      return {
        family,
        table,
        before: ownTable(kind, tables.get(table)),
        wanted: plan === undefined ? emptyTable : wantedTable(plan),
      };
    });
  });
}

function tableSteps(config: IptablesConfig, system: System, backend: Backend, change: TableChange): Step[] {
  const { family, table, before, wanted } = change;
  const text = transaction(table, before, wanted);
  if (text === undefined) return [];
  const verb = isEmptyTable(before) ? 'added' : isEmptyTable(wanted) ? 'removed' : 'replaced';
  return [
    {
      label: `${familyNames[family]} ${table}: ${verb} (${backend.variant})`,
      run: () => restoreRules(system, backend, family, text),
      undo: () => {
        const now = ownTable(config.kind, readRules(system, backend, family).get(table));
        const back = transaction(table, now, before);
        if (back !== undefined) restoreRules(system, backend, family, back);
      },
    },
  ];
}

/** Rules of ours that an earlier run has set by the other variant of iptables would capture everything twice. */
function residueSteps(config: IptablesConfig, system: System, other: Backend): Step[] {
  const saved = new Map<Family, SavedRules>();
  for (const family of families) {
    const rules = findRules(system, other, family);
    if (rules !== undefined) saved.set(family, rules);
  }
  return tableChanges(config, saved, []).flatMap((change) => tableSteps(config, system, other, change));
}

interface RoutingStep extends Step {
  readonly verb: 'add' | 'del';
}

function routingSteps(config: IptablesConfig, system: System, wanted: readonly FamilyRules[]): RoutingStep[] {
  const items: readonly RoutingItem[] = config.kind === 'istio' ? ['rule', 'route', 'address'] : ['rule', 'route'];
  return families.flatMap((family) => {
    const needed = wanted.find((plan) => plan.family === family)?.routing ?? [];
    return items
      .filter((item) => family === 'ipv6' || item !== 'address')
      .filter((item) => needed.includes(item) !== hasRoutingItem(system, family, item))
      .map((item): RoutingStep => {
        const [verb, back] = needed.includes(item) ? (['add', 'del'] as const) : (['del', 'add'] as const);
        return {
          verb,
          label: `${familyNames[family]} ${item}: ${verb === 'add' ? 'added' : 'removed'}`,
          run: () => changeRouting(system, family, item, verb),
          undo: () => changeRouting(system, family, item, back),
        };
      });
  });
}

/** Reads everything back: a tool that says it is done may have done something else. */
function verify(config: IptablesConfig, system: System, backend: Backend, wanted: readonly FamilyRules[]): void {
  for (const { family, tables, routing } of wanted) {
    const saved = readRules(system, backend, family);
    for (const plan of tables) {
      const found = ownTable(config.kind, saved.get(plan.table));
      const [chain] = differingChains(found, wantedTable(plan));
      if (chain !== undefined) {
        throw new Error(`the rules of ${chain} (${plan.table}, ${familyNames[family]}) read back are not those set`);
      }
    }
    const missing = routing.find((item) => !hasRoutingItem(system, family, item));
    if (missing !== undefined) throw new Error(`the ${missing} for ${familyNames[family]} was added but is not there`);
  }
}

function describeRepair(changes: readonly TableChange[], wanted: readonly FamilyRules[]): string | undefined {
  const had = families.filter((family) =>
    changes.some((change) => change.family === family && !isEmptyTable(change.before)),
  );
  const lacked = wanted.map(({ family }) => family).filter((family) => !had.includes(family));
  const [only] = had;
  if (only !== undefined && lacked.length > 0) return `the rules were there for ${familyNames[only]} only`;
  const unreached = changes.find(
    ({ before, wanted: to }) => before.chains.size > 0 && before.builtIn.length === 0 && to.builtIn.length > 0,
  );
  if (unreached === undefined) return undefined;
  return `the chains of ${unreached.table} were there for ${familyNames[unreached.family]}, but nothing led to them`;
}
