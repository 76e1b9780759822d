// The text that takes one table from one state to another in a single iptables-restore: all of it, or nothing.
import { isBuiltIn, type TableName, type TableRules } from './rules.ts';
import { differingChains, type OwnTable } from './saved-rules.ts';

/**
 * Input of `iptables-restore --noflush`, or undefined when nothing differs. A chain that stays is emptied by its
 * declaration and filled again within the same commit, so no packet ever meets half of it; rules in built-in chains are
 * touched only where they differ.
 */
export function transaction(table: TableName, from: OwnTable, to: OwnTable): string | undefined {
  const differing = differingChains(from, to);
  if (differing.length === 0) return undefined;
  const own = differing.filter((chain) => !isBuiltIn(chain));
  const builtIn = differing.filter(isBuiltIn);
  const removed = own.filter((chain) => !to.chains.has(chain));
  return restoreText(table, own, [
    ...from.builtIn.filter(({ chain }) => builtIn.includes(chain)).map(({ chain, spec }) => `-D ${chain} ${spec}`),
    ...own.flatMap((chain) => (to.chains.get(chain) ?? []).map((spec) => `-A ${chain} ${spec}`)),
    ...to.builtIn.filter(({ chain, first }) => builtIn.includes(chain) && first !== true).map(appendLine),
    // Prepended last to first, so that the first ends up on top.
    ...to.builtIn
      .filter(({ chain, first }) => builtIn.includes(chain) && first === true)
      .reverse()
      .map(({ chain, spec }) => `-I ${chain} 1 ${spec}`),
    ...removed.map((chain) => `-X ${chain}`),
  ]);
}

/** The same for a table in which there is nothing of ours yet, its rules in the order they were written down. */
export function initialText({ table, chains, rules }: TableRules): string {
  return restoreText(
    table,
    chains,
    rules.map((rule) => (rule.first === true ? `-I ${rule.chain} 1 ${rule.spec}` : appendLine(rule))),
  );
}

function appendLine({ chain, spec }: { readonly chain: string; readonly spec: string }): string {
  return `-A ${chain} ${spec}`;
}

function restoreText(table: TableName, chains: readonly string[], lines: readonly string[]): string {
  return [`*${table}`, ...chains.map((chain) => `:${chain} - [0:0]`), ...lines, 'COMMIT', ''].join('\n');
}
