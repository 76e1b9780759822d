// A machine in memory with iptables of both variants and `ip`: keeps rules as the real tools do, and can be broken.
import type { Family } from '../../../src/iptables/cidr.ts';
import { isBuiltIn } from '../../../src/iptables/rules.ts';
import type { Command, CommandResult, System } from '../../../src/iptables/system.ts';

interface FakeTable {
  readonly chains: Map<string, string[]>;
}

type Variant = 'nft' | 'legacy';

export interface FakeMachine extends System {
  /** Every command that changed something, in order, e.g. `ip6tables-nft-restore --noflush`. */
  readonly changes: string[];
  /** All rules, in the words they were given in, a line each: `nft ipv4 nat TRACECAR_OUTPUT: -o lo -j RETURN`. */
  dump(): string[];
  /** Sets rules aside from the program under test. */
  restore(variant: Variant, family: Family, text: string): void;
  /** Programs that answer with an exit code and a message instead of working. */
  readonly broken: Map<string, { readonly status: number; readonly stderr: string }>;
  readonly missing: Set<string>;
  readonly files: Map<string, string>;
}

const noAddress = '00000000000000000000000000000001 01 80 10 80       lo\n';
export const ipv6Address = 'fd000009000000000000000000000002 02 40 00 80     eth0\n';

export function createFakeMachine(interfaces = noAddress): FakeMachine {
  const tables = new Map<string, FakeTable>();
  const routing = new Set<string>();
  const changes: string[] = [];
  const broken: FakeMachine['broken'] = new Map();
  const missing = new Set<string>();
  const files = new Map([
    ['/proc/net/if_inet6', noAddress === interfaces ? interfaces : noAddress + interfaces],
    ['/proc/self/status', 'Name:\tnode\nCapEff:\t000001ffffffffff\n'],
    ['/etc/group', 'root:x:0:\njava:x:2020:\n'],
  ]);
  const run = (command: Command, input = ''): CommandResult => {
    const [program, ...args] = command;
    if (missing.has(program)) return answer(undefined, '', `spawn ${program} ENOENT`, true);
    const fault = broken.get(program);
    if (fault !== undefined && !args.includes('--version')) return answer(fault.status, '', fault.stderr);
    if (program === 'ip') return runIp(args, routing, changes);
    const [, family = 'iptables', variant = 'nft', tool] =
      /^(ip6?tables)(?:-(nft|legacy))?-(save|restore)$/.exec(program) ?? [];
    const place = `${variant} ${family === 'iptables' ? 'ipv4' : 'ipv6'}`;
    if (tool === 'save') {
      if (args.includes('--version'))
        return answer(0, `${program} v1.8.9 (${variant === 'nft' ? 'nf_tables' : variant})\n`);
      return answer(0, save(tables, place));
    }
    changes.push(command.join(' '));
    const problem = restore(tables, place, input);
    return problem === undefined ? answer(0) : answer(1, '', `${program}: ${problem}`);
  };
  return {
    changes,
    broken,
    missing,
    files,
    run,
    readText: (path) => files.get(path),
    restore: (variant, family, text) => {
      const problem = restore(tables, `${variant} ${family}`, text);
      if (problem !== undefined) throw new Error(problem);
    },
    dump: () => [
      ...[...tables].flatMap(([place, { chains }]) =>
        [...chains].flatMap(([chain, rules]) => [
          ...(isBuiltIn(chain) ? [] : [`${place} :${chain}`]),
          ...rules.map((rule) => `${place} ${chain}: ${rule}`),
        ]),
      ),
      ...routing,
    ],
  };
}

function answer(status: number | undefined, stdout = '', stderr = '', isMissing = false): CommandResult {
  return { status, stdout, stderr, isMissing };
}

function runIp(args: readonly string[], routing: Set<string>, changes: string[]): CommandResult {
  const item = args.join(' ').replace(/ (add|del) /, ' ');
  if (args.includes('show')) {
    const family = args[0] ?? '';
    const found = [...routing].filter((entry) => entry.startsWith(family));
    // As `ip` prints them: the mark in hexadecimal, no table in the list of one table.
    const lines = found.map((entry) =>
      entry
        .replace('rule fwmark 1337', 'fwmark 0x539')
        .replace(/^-. route /, '')
        .replace(/ table 133$/, '')
        .replace('addr', 'inet6'),
    );
    return answer(0, `${lines.join('\n')}\n`);
  }
  changes.push(`ip ${args.join(' ')}`);
  if (args.includes('add')) routing.add(item);
  else if (!routing.delete(item)) return answer(2, '', 'RTNETLINK answers: No such file or directory');
  return answer(0);
}

function save(tables: ReadonlyMap<string, FakeTable>, place: string): string {
  return [...tables]
    .filter(([key]) => key.startsWith(`${place} `))
    .map(([key, { chains }]) =>
      [
        `*${key.split(' ')[2]}`,
        ...[...chains.keys()].map((chain) => `:${chain} ${isBuiltIn(chain) ? 'ACCEPT' : '-'} [0:0]`),
        ...[...chains].flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
        'COMMIT\n',
      ].join('\n'),
    )
    .join('');
}

/** Works on a copy, which takes the place of the table at COMMIT. @returns what is wrong, and nothing has changed then */
function restore(tables: Map<string, FakeTable>, place: string, text: string): string | undefined {
  let name = '';
  let chains = new Map<string, string[]>();
  for (const [index, line] of text.split('\n').entries()) {
    const [word = '', chain = '', ...rest] = line.split(' ');
    const spec = rest.join(' ');
    const fail = (why: string) => `line ${index + 1}: ${why}`;
    if (word.startsWith('*')) {
      name = `${place} ${word.slice(1)}`;
      chains = new Map([...(tables.get(name)?.chains ?? [])].map(([key, rules]) => [key, [...rules]]));
      for (const builtIn of ['PREROUTING', 'OUTPUT']) if (!chains.has(builtIn)) chains.set(builtIn, []);
    } else if (word.startsWith(':')) chains.set(word.slice(1), []);
    else if (word === '-A' || word === '-I') {
      const rules = chains.get(chain);
      const target = /-j (TRACECAR_\w+|ISTIO_\w+)/.exec(spec)?.[1];
      if (rules === undefined || (target !== undefined && !chains.has(target))) return fail(`no chain for ${line}`);
      if (word === '-A') rules.push(spec);
      else rules.unshift(spec.replace(/^1 /, ''));
    } else if (word === '-D') {
      const rules = chains.get(chain) ?? [];
      if (!rules.includes(spec)) return fail(`Bad rule (does a matching rule exist in that chain?)`);
      rules.splice(rules.indexOf(spec), 1);
    } else if (word === '-X') {
      const isUsed = [...chains.values()].flat().some((rule) => rule.endsWith(`-j ${chain}`));
      if (isUsed || (chains.get(chain) ?? ['?']).length > 0) return fail('CHAIN_DEL failed (Device or resource busy)');
      chains.delete(chain);
    } else if (word === 'COMMIT') tables.set(name, { chains });
  }
  return undefined;
}
