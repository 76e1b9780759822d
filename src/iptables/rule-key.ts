// One text for all the ways a rule can be written: what we ask for, and what `iptables-save` of any version prints.
import { cidrKey, findCidr } from './cidr.ts';

const aliases: Readonly<Record<string, string>> = {
  '--to-port': '--to-ports',
  '--set-mark': '--set-xmark',
  '--jump': '-j',
  '--source': '-s',
  '--destination': '-d',
  '--protocol': '-p',
  '--in-interface': '-i',
  '--out-interface': '-o',
};

const marks: ReadonlySet<string> = new Set(['--mark', '--set-xmark', '--tproxy-mark']);
/** Printed by `iptables-save` when they were never given. */
const implied: ReadonlySet<string> = new Set(['--nfmask', '--ctmask', '--on-ip']);

/**
 * A key that two rules share exactly when they match and do the same. Matches have no order among themselves, so the
 * options are sorted; modules are named only where two of them have an option of the same name.
 */
export function ruleKey(spec: string): string {
  const parts: string[] = [];
  let module = '';
  for (const { option, value, negated } of optionsOf(spec)) {
    if (option === '-m' || option === '--match') module = value;
    else if (option === '-j') {
      module = value;
      parts.push(`-j ${value}`);
    } else if (!implied.has(option)) {
      const scope = marks.has(option) ? `${module} ` : '';
      parts.push(`${negated ? '! ' : ''}${scope}${option} ${valueKey(option, value)}`.trimEnd());
    }
  }
  return parts.sort().join(' ');
}

interface RuleOption {
  readonly option: string;
  readonly value: string;
  readonly negated: boolean;
}

function optionsOf(spec: string): RuleOption[] {
  const options: { option: string; value: string; negated: boolean }[] = [];
  let negated = false;
  for (const token of spec.split(/\s+/).filter((part) => part !== '')) {
    const last = options.at(-1);
    if (token === '!') negated = true;
    else if (token.startsWith('-')) {
      options.push({ option: aliases[token] ?? token, value: '', negated });
      negated = false;
    } else if (last !== undefined) last.value = last.value === '' ? token : `${last.value} ${token}`;
  }
  return options;
}

function valueKey(option: string, value: string): string {
  if (marks.has(option)) return markKey(value);
  // By number where the machine has no /etc/protocols.
  if (option === '-p') return { '6': 'tcp', '17': 'udp' }[value] ?? value;
  if (option === '--ctstate') return value.split(',').sort().join(',');
  if (option !== '-s' && option !== '-d') return value;
  const cidr = findCidr(value);
  return cidr === undefined ? value : cidrKey(cidr);
}

function markKey(text: string): string {
  const [mark, mask = '0xffffffff'] = text.split('/');
  return `${Number(mark)}/${Number(mask)}`;
}

/** The chain or target a rule jumps to, or undefined. */
export function findTarget(spec: string): string | undefined {
  return optionsOf(spec).find(({ option }) => option === '-j' || option === '-g')?.value;
}
