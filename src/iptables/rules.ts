// The shape of a set of rules: tables, chains and rules of one address family, in the order they are evaluated.
import type { Family } from './cidr.ts';

export type { Family } from './cidr.ts';

export type TableName = 'raw' | 'mangle' | 'nat' | 'filter' | 'security';

export interface Rule {
  readonly chain: string;
  /** Matches and target as iptables takes them, e.g. `-p tcp --dport 15008 -j RETURN`. */
  readonly spec: string;
  /** Goes to the top of a built-in chain, before what is there. */
  readonly first?: boolean;
}

export interface TableRules {
  readonly table: TableName;
  /** The chains that are made, in the order of their declaration. */
  readonly chains: readonly string[];
  readonly rules: readonly Rule[];
}

/** The rules of one family, and the marks, routes and addresses they need. */
export interface FamilyRules {
  readonly family: Family;
  readonly tables: readonly TableRules[];
  readonly routing: readonly RoutingItem[];
}

/** Something that the rules need beside themselves. */
export type RoutingItem = 'rule' | 'route' | 'address';

/** Mark of packets that belong to a transparent connection, and the routing table they are looked up in: Istio's numbers. */
export const tproxyMark = 1337;
export const tproxyTable = 133;

const builtIn: ReadonlySet<string> = new Set(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']);

export function isBuiltIn(chain: string): boolean {
  return builtIn.has(chain);
}

/** Collects the rules of one table; a chain is declared where it is first used. */
export class TableBuilder {
  readonly #table: TableName;
  readonly #chains = new Set<string>();
  readonly #rules: Rule[] = [];

  constructor(table: TableName) {
    this.#table = table;
  }

  append(chain: string, ...specs: readonly string[]): void {
    this.#declare(chain);
    this.#rules.push(...specs.map((spec) => ({ chain, spec })));
  }

  /** To the top of a built-in chain: what is prepended last is evaluated first. */
  prepend(chain: string, spec: string): void {
    this.#rules.push({ chain, spec, first: true });
  }

  /** The table, or nothing when no rule was added. */
  build(): TableRules[] {
    if (this.#rules.length === 0) return [];
    return [{ table: this.#table, chains: [...this.#chains], rules: this.#rules }];
  }

  #declare(chain: string): void {
    if (!isBuiltIn(chain)) this.#chains.add(chain);
  }
}
