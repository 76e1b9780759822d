// What `apply` would do on a machine without any rules, as a shell script: to be read, kept, or run.
import { restoreCommand } from './backend.ts';
import type { Family } from './cidr.ts';
import type { IptablesConfig } from './config.ts';
import { planRules } from './plan.ts';
import { routingCommand } from './routing.ts';
import { initialText } from './transaction.ts';

/** The commands and their input for the given families; needs no privilege and runs nothing. */
export function printRules(config: IptablesConfig, families: readonly Family[]): string {
  const { variant } = config;
  // Which variant is in use is for `apply` to find out: without one asked for, the machine's plain iptables is named.
  const program = variant === 'auto' ? 'iptables' : `iptables-${variant}`;
  const backend = { variant: variant === 'legacy' ? 'legacy' : 'nft', program } as const;
  const plans = planRules(config, families);
  const routing = plans.flatMap(({ family, routing: items }) =>
    items.map((item) => `${routingCommand(family, item, 'add').join(' ')}\n`),
  );
  const tables = plans.flatMap((plan) =>
    plan.tables.map((table) => {
      const command = restoreCommand(backend, plan.family).join(' ');
      return `${command} <<'RULES'\n${initialText(table)}RULES\n`;
    }),
  );
  return [...routing, ...tables].join('');
}
