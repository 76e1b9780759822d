// The rules of a network namespace as `iptables-save` writes them, and what they do with a connection.

export type Family = 'ipv4' | 'ipv6';
/** Where the kernel asks the rules: for what comes in, and for what is sent from here. */
export type Hook = 'PREROUTING' | 'OUTPUT';

interface Match {
  readonly option: string;
  readonly value: string;
  readonly negated: boolean;
}

export interface SavedRule {
  /** As it was written, without the chain. */
  readonly text: string;
  readonly matches: readonly Match[];
  readonly target: string;
  /** Where REDIRECT and TPROXY lead. */
  readonly port: number | undefined;
}

/** The rules by `table chain`, in order. */
export type RuleSet = ReadonlyMap<string, readonly SavedRule[]>;

/** What becomes of a connection: the port it is led to, or undefined; and the last rule that had a say, '' when none had. */
export interface Fate {
  readonly port: number | undefined;
  readonly rule: string;
}

/** The tables that can lead a connection elsewhere, in the order the kernel asks them. */
const tables = ['mangle', 'nat'] as const;
const chainPattern = /^(?:TRACECAR|ISTIO)_/;
const loopback = new Set(['127.0.0.1/32', '127.0.0.0/8', '::1/128']);

/** Reads the output of `iptables-save` or `ip6tables-save`; of several, one after the other. */
export function parseSavedRules(text: string): RuleSet {
  const rules = new Map<string, SavedRule[]>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    const [, chain, rest = ''] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined) continue;
    const key = `${table} ${chain}`;
    rules.set(key, [...(rules.get(key) ?? []), parseRule(rest)]);
  }
  return rules;
}

function parseRule(text: string): SavedRule {
  const tokens = text.match(/"[^"]*"|\S+/g) ?? [];
  const matches: Match[] = [];
  let target = '';
  let port: number | undefined;
  for (let i = 0; i < tokens.length; i++) {
    const negated = tokens[i] === '!';
    const option = tokens[negated ? ++i : i]!;
    const value = tokens[i + 1] ?? '';
    if (!option.startsWith('-')) continue;
    i++;
    if (option === '-j' || option === '-g') target = value;
    else if (option === '--to-ports' || option === '--on-port') port = Number(value);
    // What follows the target belongs to it, and not to the question whether the rule applies.
    else if (target === '' && option !== '-m' && option !== '--comment') matches.push({ option, value, negated });
  }
  return { text, matches, target, port };
}

/** Whose chains are there. */
export function ownersOf(rules: RuleSet): Set<'tracecar' | 'istio'> {
  const chains = [...rules.keys()].map((key) => key.split(' ')[1] ?? '').filter((chain) => chainPattern.test(chain));
  return new Set(chains.map((chain) => (chain.startsWith('ISTIO_') ? 'istio' : 'tracecar')));
}

/** The ports to which some connection of a hook is led; what is bound for loopback does not count. */
export function portsReached(rules: RuleSet, hook: Hook): Set<number> {
  const ports = new Set<number>();
  const seen = new Set<string>();
  const visit = (key: string) => {
    if (seen.has(key)) return;
    seen.add(key);
    const table = key.split(' ')[0]!;
    for (const rule of rules.get(key) ?? []) {
      if (rule.matches.some(({ option, value, negated }) => option === '-d' && !negated && loopback.has(value)))
        continue;
      // What the sidecar sends to its own pod is inbound (Istio's rules), whatever the hook.
      if (hook === 'OUTPUT' && rule.matches.some(({ option, negated }) => option.endsWith('id-owner') && !negated))
        continue;
      if (rule.port !== undefined) ports.add(rule.port);
      else visit(`${table} ${rule.target}`);
    }
  };
  for (const table of tables) visit(`${table} ${hook}`);
  return ports;
}

/** What becomes of a new TCP connection to a port, from or to a machine of no named range, and of no named user. */
export function fateOf(rules: RuleSet, hook: Hook, port: number): Fate {
  let last = '';
  /** A port, `stop` when the table is done with it, or undefined when the chain came to its end. */
  const walk = (key: string, depth: number): number | 'stop' | undefined => {
    const table = key.split(' ')[0]!;
    for (const rule of depth > 16 ? [] : (rules.get(key) ?? [])) {
      if (!rule.matches.every((match) => applies(match, port))) continue;
      if (rule.port !== undefined) {
        last = rule.text;
        return rule.port;
      }
      if (rule.target === 'RETURN' || rule.target === 'ACCEPT') {
        last = rule.text;
        return rule.target === 'ACCEPT' ? 'stop' : undefined;
      }
      const inner = walk(`${table} ${rule.target}`, depth + 1);
      if (inner !== undefined) return inner;
    }
    return undefined;
  };
  for (const table of tables) {
    const end = walk(`${table} ${hook}`, 0);
    if (typeof end === 'number') return { port: end, rule: last };
  }
  return { port: undefined, rule: last };
}

/** Users and groups whose traffic the rules leave alone. */
export function exemptOwners(rules: RuleSet): { readonly uids: Set<number>; readonly gids: Set<number> } {
  const of = (option: string) =>
    new Set(
      [...rules.values()]
        .flat()
        .filter(({ target }) => target === 'RETURN')
        .flatMap(({ matches }) => matches)
        .filter((match) => match.option === option && !match.negated)
        .map(({ value }) => Number(value)),
    );
  return { uids: of('--uid-owner'), gids: of('--gid-owner') };
}

function applies({ option, value, negated }: Match, port: number): boolean {
  return isTrue(option, value, port) !== negated;
}

/** Of a connection's first packet, which has no mark and belongs to no known connection. */
function isTrue(option: string, value: string, port: number): boolean {
  if (option === '-p') return value === 'tcp' || value === 'all';
  if (option === '--dport') return inRange(port, value);
  if (option === '--dports') return value.split(',').some((range) => inRange(port, range));
  if (option === '--ctstate' || option === '--state') return value.split(',').includes('NEW');
  return false;
}

function inRange(port: number, range: string): boolean {
  const [first = '', last = first] = range.split(':');
  return port >= Number(first) && port <= Number(last);
}
