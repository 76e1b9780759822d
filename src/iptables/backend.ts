// Which iptables is in use here: nft or legacy. Rules of one are not seen by the other, so the choice matters.
import type { Family } from './cidr.ts';
import type { IptablesVariant } from './config.ts';
import { describeFailure } from './failure.ts';
import { parseSavedRules, type SavedRules } from './saved-rules.ts';
import type { Command, System } from './system.ts';

export interface Backend {
  readonly variant: IptablesVariant;
  /** Name of the IPv4 program, e.g. `iptables-nft`; `-save` and `-restore` are appended. */
  readonly program: string;
}

export const families: readonly Family[] = ['ipv4', 'ipv6'];

function programOf({ program }: Backend, family: Family): string {
  return family === 'ipv4' ? program : program.replace(/^iptables/, 'ip6tables');
}

/** The command that replaces rules. Only legacy has a lock to wait for; nft does without. */
export function restoreCommand(backend: Backend, family: Family): Command {
  const command: Command = [`${programOf(backend, family)}-restore`, '--noflush'];
  return backend.variant === 'legacy' ? [...command, '--wait=30'] : command;
}

/**
 * Reads the rules of one family.
 * @throws Error with one line on why they cannot be read
 */
export function readRules(system: System, backend: Backend, family: Family): SavedRules {
  const command: Command = [`${programOf(backend, family)}-save`];
  const result = system.run(command);
  if (result.status === 0) return parseSavedRules(result.stdout);
  throw new Error(describeFailure(command, result, family));
}

/** As readRules, or undefined where that family or variant is not to be had. */
export function findRules(system: System, backend: Backend, family: Family): SavedRules | undefined {
  const result = system.run([`${programOf(backend, family)}-save`]);
  return result.status === 0 ? parseSavedRules(result.stdout) : undefined;
}

/**
 * Gives one table of one family its new content, all of it or none.
 * @throws Error with one line on why it was refused
 */
export function restoreRules(system: System, backend: Backend, family: Family, text: string): void {
  const command = restoreCommand(backend, family);
  const result = system.run(command, text);
  if (result.status === 0) return;
  const description = describeFailure(command, result, family, text);
  const remedy = result.isMissing && family === 'ipv6' ? ', or leave IPv6 uncaptured with --ipv6 off' : '';
  throw new Error(`${description}${remedy}`);
}

/** The variants that are installed; where only a plain `iptables` is, it is of one of them. */
export function installedBackends(system: System): Backend[] {
  const plain = variantOf(system, 'iptables');
  const variants: readonly IptablesVariant[] = plain === 'legacy' ? ['legacy', 'nft'] : ['nft', 'legacy'];
  return variants.flatMap((variant) => {
    if (variantOf(system, `iptables-${variant}`) !== undefined) return [{ variant, program: `iptables-${variant}` }];
    return plain === variant ? [{ variant, program: 'iptables' }] : [];
  });
}

function variantOf(system: System, program: string): IptablesVariant | undefined {
  const result = system.run([`${program}-save`, '--version']);
  if (result.isMissing || result.status === undefined || result.status > 1) return undefined;
  // Versions before 1.8 know one kind only and do not name it; the oldest do not know the question.
  return result.stdout.includes('nf_tables') ? 'nft' : 'legacy';
}

/**
 * The variant to use, and the other one when it is installed: the one asked for; else the one that holds rules, as the
 * wrapper of Kubernetes' own images decides; else what a plain `iptables` is.
 * @throws Error when none is installed, or not the one asked for
 */
export function chooseBackend(
  system: System,
  asked: IptablesVariant | 'auto',
): { readonly chosen: Backend; readonly other: Backend | undefined } {
  const installed = installedBackends(system);
  const [first, second] = installed;
  if (first === undefined) {
    throw new Error('iptables is not installed (no iptables-save on PATH); install the package iptables');
  }
  if (asked !== 'auto') {
    const chosen = installed.find(({ variant }) => variant === asked);
    if (chosen === undefined) throw new Error(`iptables-${asked} is not installed; only ${first.program} is`);
    return { chosen, other: installed.find((backend) => backend !== chosen) };
  }
  if (second === undefined) return { chosen: first, other: undefined };
  const [firstCount, secondCount] = [countRules(system, first), countRules(system, second)];
  const isSecond = secondCount !== undefined && (firstCount === undefined || secondCount > firstCount);
  return isSecond ? { chosen: second, other: first } : { chosen: first, other: second };
}

/** Rules of both families; undefined when not even IPv4's can be read. */
function countRules(system: System, backend: Backend): number | undefined {
  const counts = families.map((family) => {
    const saved = findRules(system, backend, family);
    return saved && [...saved.values()].reduce((sum, { rules }) => sum + rules.length, 0);
  });
  return counts[0] === undefined ? undefined : counts[0] + (counts[1] ?? 0);
}
