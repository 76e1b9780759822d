// What an operator asks of the capture rules: flags and environment in, checked values out.
import { UsageError } from '../runtime/usage-error.ts';
import { type Cidr, findCidr, isLoopback, parseCidrs } from './cidr.ts';
import {
  parseGroups,
  parseIds,
  parseInterfaces,
  parsePort,
  parsePorts,
  parseSelection,
  type Selection,
} from './lists.ts';

/** Whose chains: ours (`TRACECAR_*`) or Istio's (`ISTIO_*`). */
export type RuleKind = 'tracecar' | 'istio';

/** How inbound connections reach the sidecar; outbound ones are redirected in either mode. */
export type CaptureMode = 'REDIRECT' | 'TPROXY';

export type IptablesVariant = 'nft' | 'legacy';

export interface IptablesConfig {
  readonly kind: RuleKind;
  readonly mode: CaptureMode;
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly proxyUids: readonly number[];
  readonly proxyGids: readonly number[];
  readonly outboundCidrs: Selection<Cidr>;
  readonly excludedOutboundCidrs: readonly Cidr[];
  readonly outboundPorts: readonly number[];
  readonly excludedOutboundPorts: readonly number[];
  readonly inboundPorts: Selection<number>;
  readonly excludedInboundPorts: readonly number[];
  readonly excludedInterfaces: readonly string[];
  readonly virtualInterfaces: readonly string[];
  readonly ownerGroups: Selection<string>;
  readonly excludedOwnerGroups: readonly string[];
  /** Which IPv4 range counts as the application talking to itself (Istio's chains only). */
  readonly loopbackCidr: Cidr;
  readonly dropInvalid: boolean;
  readonly ipv6: 'auto' | 'on' | 'off';
  readonly variant: IptablesVariant | 'auto';
}

/** The flags as they come from the command line or the environment; Istio's names where Istio has one. */
export interface IptablesFlags {
  readonly iptables: string;
  readonly capture?: string;
  readonly istioInboundInterceptionMode?: string;
  readonly envoyPort: string;
  readonly inboundCapturePort: string;
  readonly proxyUid: string;
  readonly proxyGid?: string;
  readonly istioServiceCidr: string;
  readonly istioServiceExcludeCidr: string;
  readonly istioInboundPorts: string;
  readonly istioLocalExcludePorts: string;
  readonly istioOutboundPorts: string;
  readonly istioLocalOutboundPortsExclude: string;
  readonly istioExcludeInterfaces: string;
  readonly kubeVirtInterfaces: string;
  readonly dropInvalid?: boolean;
  readonly ipv6: string;
  readonly forceIptablesBinary?: string;
}

/** What `tracecar iptables` does without any flag: what Istio's injected init container asks for. */
export const defaultFlags = {
  iptables: 'tracecar',
  envoyPort: '15001',
  inboundCapturePort: '15006',
  proxyUid: '1337',
  istioServiceCidr: '*',
  istioServiceExcludeCidr: '',
  istioInboundPorts: '*',
  istioLocalExcludePorts: '15090,15021,15020',
  istioOutboundPorts: '',
  istioLocalOutboundPortsExclude: '',
  istioExcludeInterfaces: '',
  kubeVirtInterfaces: '',
  ipv6: 'auto',
} as const satisfies IptablesFlags;

/** A rule that names every group holds a match for each, and kernels bound how long a rule may be. */
const maxOwnerGroups = 64;

/**
 * Checks the flags, and the settings Istio's init reads from the environment alone:
 * ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR, ISTIO_OUTBOUND_OWNER_GROUPS, ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE, INVALID_DROP.
 * @throws UsageError on the first value that cannot be used
 */
export function parseIptablesConfig(
  flags: IptablesFlags,
  environment: Readonly<Record<string, string | undefined>> = {},
): IptablesConfig {
  const kind = parseChoice(flags.iptables, '--iptables', ['tracecar', 'istio']);
  const outboundPort = parsePort(flags.envoyPort, '-p');
  const inboundPort = parsePort(flags.inboundCapturePort, '-z');
  if (outboundPort === inboundPort) throw new UsageError(`-p and -z: ${inboundPort} cannot be both ports`);
  return {
    kind,
    mode: parseMode(flags),
    outboundPort,
    inboundPort,
    proxyUids: parseIds(flags.proxyUid, '-u'),
    proxyGids: parseIds(flags.proxyGid || flags.proxyUid, '-g'),
    outboundCidrs: parseSelection(flags.istioServiceCidr, '-i', parseCidrs),
    excludedOutboundCidrs: parseExcludedCidrs(flags.istioServiceExcludeCidr),
    outboundPorts: parsePorts(flags.istioOutboundPorts, '-q'),
    excludedOutboundPorts: parsePorts(flags.istioLocalOutboundPortsExclude, '-o'),
    inboundPorts: parseSelection(flags.istioInboundPorts, '-b', parsePorts),
    excludedInboundPorts: parsePorts(flags.istioLocalExcludePorts, '-d'),
    excludedInterfaces: parseInterfaces(flags.istioExcludeInterfaces, '-c'),
    virtualInterfaces: parseInterfaces(flags.kubeVirtInterfaces, '-k'),
    ...parseEnvironment(environment),
    dropInvalid: flags.dropInvalid ?? parseSwitch(environment.INVALID_DROP, 'INVALID_DROP'),
    ipv6: parseChoice(flags.ipv6, '--ipv6', ['auto', 'on', 'off']),
    variant: parseChoice(flags.forceIptablesBinary || 'auto', '--force-iptables-binary', ['auto', 'nft', 'legacy']),
  };
}

function parseEnvironment(environment: Readonly<Record<string, string | undefined>>) {
  const groupsName = 'ISTIO_OUTBOUND_OWNER_GROUPS';
  const ownerGroups = parseSelection(environment[groupsName] ?? '*', groupsName, parseGroups);
  if (ownerGroups.length > maxOwnerGroups) {
    throw new UsageError(`${groupsName}: ${ownerGroups.length} groups are too many; at most ${maxOwnerGroups}`);
  }
  const excludedName = 'ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE';
  return {
    ownerGroups,
    excludedOwnerGroups: parseGroups(environment[excludedName] ?? '', excludedName),
    loopbackCidr: parseLoopback(environment.ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR || '127.0.0.1/32'),
  };
}

function parseChoice<const T extends string>(text: string, what: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new UsageError(`${what}: "${text}" is none of ${choices.join(', ')}`);
  return found;
}

function parseMode({ capture, istioInboundInterceptionMode }: IptablesFlags): CaptureMode {
  const modes: readonly CaptureMode[] = ['REDIRECT', 'TPROXY'];
  // Istio's injector passes an empty mode for the default one.
  const asked = istioInboundInterceptionMode === '' ? undefined : istioInboundInterceptionMode;
  const byLetter = asked === undefined ? undefined : parseChoice(asked, '-m', modes);
  if (capture === undefined) return byLetter ?? 'REDIRECT';
  const byName = parseChoice(capture, '--capture', ['redirect', 'tproxy']) === 'tproxy' ? 'TPROXY' : 'REDIRECT';
  if (byLetter !== undefined && byLetter !== byName) {
    throw new UsageError(`--capture ${capture} and -m ${byLetter} say different things; give one of them`);
  }
  return byName;
}

function parseExcludedCidrs(text: string): Cidr[] {
  if (text.split(',').some((entry) => entry.trim() === '*')) {
    throw new UsageError('-x: "*" would exclude everything; to capture nothing outbound give an empty -i');
  }
  return parseCidrs(text, '-x');
}

function parseLoopback(text: string): Cidr {
  const cidr = findCidr(text);
  if (cidr === undefined || cidr.family !== 'ipv4' || !isLoopback(cidr)) {
    throw new UsageError(`ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: "${text}" is not a range of 127.0.0.0/8`);
  }
  return cidr;
}

function parseSwitch(text: string | undefined, what: string): boolean {
  return parseChoice(text || 'false', what, ['true', 'false', '1', '0']).match(/^(true|1)$/) !== null;
}
