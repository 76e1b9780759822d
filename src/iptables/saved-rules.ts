// Reads what `iptables-save` prints, and picks out of it what is ours.
import type { RuleKind } from './config.ts';
import { findTarget, ruleKey } from './rule-key.ts';
import { isBuiltIn, type Rule, type TableName, type TableRules } from './rules.ts';

export interface SavedTable {
  readonly chains: readonly string[];
  readonly rules: readonly Rule[];
}

export type SavedRules = ReadonlyMap<TableName, SavedTable>;

/** Parses the output of `iptables-save`; comments and counters are skipped. */
export function parseSavedRules(text: string): SavedRules {
  const tables = new Map<TableName, { chains: string[]; rules: Rule[] }>();
  let table: { chains: string[]; rules: Rule[] } | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = { chains: [], rules: [] };
      tables.set(line.slice(1).trim() as TableName, table);
    } else if (line.startsWith(':')) table?.chains.push(line.slice(1).split(' ')[0] ?? '');
    else {
      const [, chain, spec] = /^(?:\[\d+:\d+\] )?-A (\S+) ?(.*)$/.exec(line) ?? [];
      if (chain !== undefined && spec !== undefined) table?.rules.push({ chain, spec: spec.trim() });
    }
  }
  return tables;
}

/** Our part of one table. */
export interface OwnTable {
  /** Chains of ours, in the order of their declaration, with their rules. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Rules of ours in built-in chains, each chain's in the order they are evaluated. */
  readonly builtIn: readonly Rule[];
}

export const emptyTable: OwnTable = { chains: new Map(), builtIn: [] };

export function isEmptyTable({ chains, builtIn }: OwnTable): boolean {
  return chains.size === 0 && builtIn.length === 0;
}

const prefixes: Readonly<Record<RuleKind, string>> = { tracecar: 'TRACECAR_', istio: 'ISTIO_' };

export function isOwnChain(kind: RuleKind, chain: string): boolean {
  return chain.startsWith(prefixes[kind]);
}

/** What Istio adds to built-in chains beside jumps to its own, by their keys: excluded interfaces, and TPROXY's marks. */
const istioForms: readonly RegExp[] = [
  /^(-i \S+ -j RETURN|-j RETURN -o \S+)$/,
  /^-j RETURN -o lo -p tcp mark --mark 1337\/\d+$/,
  /(^| )MARK --set-xmark 1338\/\d+( |$)/,
  /^--(save|restore)-mark -j CONNMARK -p tcp (conn)?mark --mark 1337\/\d+$/,
];

function isOwnBuiltInRule(kind: RuleKind, { spec }: Rule): boolean {
  if (isOwnChain(kind, findTarget(spec) ?? '')) return true;
  return kind === 'istio' && istioForms.some((form) => form.test(ruleKey(spec)));
}

/** Picks what is ours out of a table. In Istio's letter some rules carry no name: they count beside ISTIO_ chains only. */
export function ownTable(kind: RuleKind, table: SavedTable | undefined): OwnTable {
  if (table === undefined) return emptyTable;
  const own = table.chains.filter((chain) => isOwnChain(kind, chain));
  const builtIn = table.rules.filter((rule) => isBuiltIn(rule.chain) && isOwnBuiltInRule(kind, rule));
  const isNamed = own.length > 0 || builtIn.some(({ spec }) => isOwnChain(kind, findTarget(spec) ?? ''));
  return {
    chains: new Map(own.map((chain) => [chain, specsOf(table.rules, chain)])),
    builtIn: isNamed ? builtIn : [],
  };
}

function specsOf(rules: readonly Rule[], chain: string): string[] {
  return rules.filter((rule) => rule.chain === chain).map(({ spec }) => spec);
}

/** What a table is to be, in the form it is read back in. */
export function wantedTable({ chains, rules }: TableRules): OwnTable {
  const builtIn: Rule[] = [];
  for (const rule of rules.filter(({ chain }) => isBuiltIn(chain))) {
    if (rule.first === true) builtIn.unshift(rule);
    else builtIn.push(rule);
  }
  return { chains: new Map(chains.map((chain) => [chain, specsOf(rules, chain)])), builtIn };
}

function sameSpecs(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((spec, index) => ruleKey(spec) === ruleKey(right[index] ?? ''));
}

/** Do two chains hold the same rules in the same order? */
export function sameChain(left: OwnTable, right: OwnTable, chain: string): boolean {
  if (!isBuiltIn(chain)) {
    const [leftSpecs, rightSpecs] = [left.chains.get(chain), right.chains.get(chain)];
    if (leftSpecs === undefined || rightSpecs === undefined) return leftSpecs === rightSpecs;
    return sameSpecs(leftSpecs, rightSpecs);
  }
  return sameSpecs(specsOf(left.builtIn, chain), specsOf(right.builtIn, chain));
}

/** The chains, ours and built-in, in which two states of a table differ. */
export function differingChains(left: OwnTable, right: OwnTable): string[] {
  const names = [left, right].flatMap(({ chains, builtIn }) => [
    ...chains.keys(),
    ...builtIn.map(({ chain }) => chain),
  ]);
  return [...new Set(names)].filter((chain) => !sameChain(left, right, chain));
}
