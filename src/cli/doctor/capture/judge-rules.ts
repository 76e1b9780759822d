// Whether the rules are in force that bring connections to a sidecar: both directions, each family, to the right port.
import { bad, type Finding, good, open } from '../findings.ts';
import type { ListeningSocket } from './listening-sockets.ts';
import type { Namespace } from './namespace.ts';
import type { Direction, Leg, ObservedCapture } from './observed.ts';
import { type Family, type Hook, ownersOf, portsReached, type RuleSet } from './saved-rules.ts';

const hooks: Readonly<Record<Direction, Hook>> = { inbound: 'PREROUTING', outbound: 'OUTPUT' };
const apply = 'in an init container with NET_ADMIN and NET_RAW, before the application starts';

/**
 * One finding when all is captured, else one for each thing that is missing.
 * @param here the sidecar's namespace, undefined when the doctor is not in it
 * @param sockets those of the application there
 */
export function judgeRules(
  service: string,
  capture: ObservedCapture,
  here: Namespace | undefined,
  sockets: readonly ListeningSocket[],
): Finding[] {
  const hop = `capture of ${service}`;
  const { captured, missing, unknown } = settle(capture, here);
  if (missing.length === 0 && unknown.length === 0) {
    const legs = captured.length > 0 ? captured.join(', ') : 'nothing is said of the rules';
    const verdict = captured.length > 0 ? good(hop, `${legs}, by ${capture.mode}`) : open(hop, legs);
    return [verdict, ...(captured.includes('inbound ipv6') ? [] : judgeNeighbours(hop, sockets))];
  }
  const findings = missing.length === 0 ? [] : judgeMissing(hop, capture, captured, missing, here, sockets);
  if (unknown.length > 0) {
    const advice = "run the doctor as root within this pod's network namespace, where it can read the rules";
    findings.push(open(hop, `whether rules capture ${unknown.join(', ')} cannot be seen from here`, advice));
  }
  return findings;
}

/** What the sidecar could not see may be told by the rules themselves. */
function settle(capture: ObservedCapture, here: Namespace | undefined) {
  const captured: Leg[] = [...capture.captured];
  const missing: Leg[] = [...capture.notCaptured];
  const unknown: Leg[] = [];
  for (const leg of capture.unknown) {
    const [direction, family] = leg.split(' ') as [Direction, Family];
    const rules = here?.rules.get(family);
    if (rules === undefined) unknown.push(leg);
    else if (portsReached(rules, hooks[direction]).has(portFor(capture, direction))) captured.push(leg);
    else missing.push(leg);
  }
  return { captured, missing, unknown };
}

function judgeMissing(
  hop: string,
  capture: ObservedCapture,
  captured: readonly Leg[],
  missing: readonly Leg[],
  here: Namespace | undefined,
  sockets: readonly ListeningSocket[],
): Finding[] {
  const misled = missing.flatMap((leg) => judgeMisled(hop, capture, leg, here));
  if (misled.length > 0) return misled.slice(0, 1);
  const isFlag = capture.iptables === 'istio' ? ' --iptables istio' : '';
  if (captured.length === 0) {
    const detail = `a sidecar waits for captured connections, but no rules bring any (${missing.join(', ')})`;
    return [bad(hop, detail, `run \`tracecar iptables apply${isFlag}\` ${apply}`)];
  }
  const v6 = missing.filter((leg) => leg.endsWith('ipv6'));
  const v4 = missing.filter((leg) => leg.endsWith('ipv4'));
  const findings: Finding[] = [];
  if (v4.length > 0) {
    const way = v4.some((leg) => leg.startsWith('inbound')) ? "-b '*'" : "-i '*'";
    const advice = `run \`tracecar iptables apply${isFlag}\` again with ${way} (the default), or without the flag that leaves it out`;
    findings.push(bad(hop, `rules capture ${captured.join(', ')}, but not ${v4.join(', ')}`, advice));
  }
  if (v6.length > 0) {
    const addresses = here === undefined ? '' : ` (${here.addressesV6.join(', ')})`;
    const ports = portsOfV6(sockets);
    const listens = ports === '' ? '' : `; the application listens for IPv6 on ${ports}`;
    const detail = `IPv6 goes past the sidecar: the pod has such an address${addresses}, but no rules for ${v6.join(', ')}${listens}`;
    const advice = `run \`tracecar iptables apply${isFlag} --ipv6 on\` in this pod: it leaves IPv6 out when there was no address yet`;
    findings.push(bad(hop, detail, advice));
  }
  return findings;
}

/** Without an address that others know, an IPv6 socket is reached by link-local ones at most: worth a line, no fault. */
function judgeNeighbours(hop: string, sockets: readonly ListeningSocket[]): Finding[] {
  const ports = portsOfV6(sockets);
  if (ports === '') return [];
  const detail = `the application listens for IPv6 on ${ports} without rules for it; there is no address yet by which others reach it`;
  return [open(hop, detail, 'run `tracecar iptables apply --ipv6 on` if the pod is ever to have one')];
}

function portsOfV6(sockets: readonly ListeningSocket[]): string {
  return [...new Set(sockets.filter(({ family }) => family === 'ipv6').map(({ port }) => port))].join(', ');
}

/** Rules that are there, but of the other kind or to another port. */
function judgeMisled(hop: string, capture: ObservedCapture, leg: Leg, here: Namespace | undefined): Finding[] {
  const [direction, family] = leg.split(' ') as [Direction, Family];
  const rules: RuleSet | undefined = here?.rules.get(family);
  if (rules === undefined) return [];
  const wanted = portFor(capture, direction);
  const reached = [...portsReached(rules, hooks[direction])];
  if (reached.length > 0 && !reached.includes(wanted)) {
    const detail = `rules lead ${leg} to port ${reached.join(', ')}, the sidecar waits on ${wanted}`;
    const flag = direction === 'inbound' ? '-z' : '-p';
    const advice = `give \`iptables apply\` ${flag} ${wanted}, or the sidecar --${direction}-capture-port ${reached[0]}`;
    return [bad(hop, detail, advice)];
  }
  const kinds = ownersOf(rules);
  if (kinds.size === 0 || kinds.has(capture.iptables === 'istio' ? 'istio' : 'tracecar')) return [];
  const found = [...kinds][0]!;
  const detail = `the rules are of the kind ${found}, the sidecar was told --iptables ${capture.iptables}`;
  return [bad(hop, detail, `give both the same: --iptables ${found} for the sidecar, or apply the other rules`)];
}

function portFor(capture: ObservedCapture, direction: Direction): number {
  return direction === 'inbound' ? capture.inboundPort : capture.outboundPort;
}
