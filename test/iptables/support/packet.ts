// What becomes of the first packet of a connection: a small reading of the rules, apart from the code that makes them.
import { BlockList, isIPv6 } from 'node:net';
import type { FamilyRules, TableName, TableRules } from '../../../src/iptables/rules.ts';

export interface Packet {
  readonly hook: 'PREROUTING' | 'OUTPUT';
  readonly protocol?: 'tcp' | 'udp';
  readonly source?: string;
  readonly destination: string;
  readonly port: number;
  /** The interface it comes in by, or goes out by. */
  readonly interface: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly mark?: number;
  readonly connmark?: number;
  readonly state?: string;
}

/** `REDIRECT 15001`, `TPROXY 15006`, `DROP`; or `pass`, with the mark it was given: `pass 1337`. */
export function verdictOf({ tables }: FamilyRules, table: TableName, packet: Packet): string {
  const rules = tables.find((candidate) => candidate.table === table);
  if (rules === undefined) return 'pass';
  const state = { mark: packet.mark ?? 0 };
  const verdict = walk(rules, packet.hook, packet, state);
  if (verdict !== undefined && verdict !== 'RETURN' && verdict !== 'ACCEPT') return verdict;
  return state.mark === (packet.mark ?? 0) ? 'pass' : `pass ${state.mark}`;
}

function walk(table: TableRules, chain: string, packet: Packet, state: { mark: number }): string | undefined {
  const own = table.rules.filter((rule) => rule.chain === chain);
  for (const { spec } of [...own.filter(({ first }) => first).reverse(), ...own.filter(({ first }) => !first)]) {
    const words = spec.split(' ');
    if (!matches(words, packet, state.mark)) continue;
    const target = words[words.indexOf('-j') + 1] ?? '';
    const argument = (name: string) => words[words.indexOf(name) + 1] ?? '';
    if (target === 'RETURN' || target === 'ACCEPT' || target === 'DROP') return target;
    if (target === 'REDIRECT') return `REDIRECT ${argument('--to-ports')}`;
    if (target === 'TPROXY') return `TPROXY ${argument('--on-port')}`;
    if (target === 'MARK') state.mark = Number(argument('--set-mark'));
    else if (target === 'CONNMARK') {
      if (words.includes('--restore-mark')) state.mark = packet.connmark ?? 0;
    } else {
      const verdict = walk(table, target, packet, state);
      if (verdict !== undefined && verdict !== 'RETURN') return verdict;
    }
  }
  return undefined;
}

function matches(words: readonly string[], packet: Packet, mark: number): boolean {
  let module = '';
  for (const [index, option] of words.entries()) {
    if (option === '-j') return true;
    const value = words[index + 1] ?? '';
    if (option === '-m') module = value;
    if (!option.startsWith('-') || option === '-m') continue;
    const negated = words[index - 1] === '!';
    if (holds(option, value, module, packet, mark) === negated) return false;
  }
  return true;
}

function holds(option: string, value: string, module: string, packet: Packet, mark: number): boolean {
  if (option === '-p') return (packet.protocol ?? 'tcp') === value;
  if (option === '-d') return isWithin(packet.destination, value);
  if (option === '-s') return packet.source !== undefined && isWithin(packet.source, value);
  if (option === '-i') return packet.hook === 'PREROUTING' && packet.interface === value;
  if (option === '-o') return packet.hook === 'OUTPUT' && packet.interface === value;
  if (option === '--dport') return packet.port === Number(value);
  if (option === '--uid-owner') return packet.uid === Number(value);
  if (option === '--gid-owner') return packet.gid === Number(value);
  if (option === '--ctstate') return value.split(',').includes(packet.state ?? 'NEW');
  if (option === '--mark') return Number(value) === (module === 'connmark' ? (packet.connmark ?? 0) : mark);
  throw new Error(`the evaluator does not know ${option}`);
}

function isWithin(address: string, range: string): boolean {
  const [network = '', bits] = range.split('/');
  const family = isIPv6(network) ? 'ipv6' : 'ipv4';
  if (isIPv6(address) !== (family === 'ipv6')) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, family);
}
