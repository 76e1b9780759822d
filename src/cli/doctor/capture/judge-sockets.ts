// What of an application is left out although rules are in force: excluded ports, and an application that passes for the sidecar.
import { bad, type Finding, open } from '../findings.ts';
import type { ListeningSocket } from './listening-sockets.ts';
import type { Namespace } from './namespace.ts';
import type { ObservedCapture } from './observed.ts';
import { exemptOwners, type Fate, fateOf, portsReached } from './saved-rules.ts';

/** Whom rules leave alone where they cannot be read. */
const sidecarId = 1337;

/** The sockets of the application: those that are neither the sidecar's own nor for loopback only. */
export function applicationSockets(here: Namespace, ownPorts: ReadonlySet<number>): ListeningSocket[] {
  return here.listening.filter(({ address, port }) => !ownPorts.has(port) && !/^(127\.|::1$|::ffff:7f)/.test(address));
}

/** An application with the sidecar's user or group: what it sends is taken for the sidecar's. */
export function judgeOwners(service: string, here: Namespace, sockets: readonly ListeningSocket[]): Finding[] {
  const owners = [...here.rules.values()].map(exemptOwners);
  const uids = new Set(owners.flatMap((owner) => [...owner.uids]));
  const gids = new Set(owners.flatMap((owner) => [...owner.gids]));
  if (uids.size + gids.size === 0) for (const ids of [uids, gids]) ids.add(sidecarId);
  const seen = new Set<string>();
  return sockets.flatMap(({ port, uid, owner }) => {
    const gid = owner?.gid ?? Number.NaN;
    const as = uids.has(uid) ? `user ${uid}` : gids.has(gid) ? `group ${gid}` : '';
    if (as === '' || seen.has(`${port} ${as}`)) return [];
    seen.add(`${port} ${as}`);
    const who = owner === undefined ? 'the application' : `${owner.name} (pid ${owner.pid})`;
    const detail = `${who} on port ${port} runs as ${as}, the sidecar's own: what it sends is not captured`;
    return [
      bad(`application ${service}`, detail, 'let it run as another one: runAsUser and runAsGroup of its container'),
    ];
  });
}

/** Ports that the rules leave out: the one that was asked about is a fault, another one of the application only told. */
export function judgePorts(
  service: string,
  capture: ObservedCapture,
  here: Namespace,
  sockets: readonly ListeningSocket[],
  asked: number | undefined,
): Finding[] {
  const hop = `ports of ${service}`;
  const left = leftOut(capture, here, sockets);
  const findings = left.map(({ port, fate }) => {
    const detail = `inbound port ${port} is not captured: ${because(fate)}`;
    // Left out on purpose as a rule; the application's only port hardly is.
    const isFault = port === asked || left.length === new Set(sockets.map((socket) => socket.port)).size;
    return isFault ? bad(hop, detail, inboundAdvice) : open(hop, detail, inboundAdvice);
  });
  const isOwn = asked === undefined || sockets.some(({ port }) => port === asked);
  return isOwn ? findings : [...findings, ...judgeOutbound(hop, capture, here, asked)];
}

const inboundAdvice = 'take it out of -d (--istio-local-exclude-ports) of `iptables apply`, or add it to -b';

function leftOut(capture: ObservedCapture, here: Namespace, sockets: readonly ListeningSocket[]) {
  const found = new Map<number, Fate>();
  for (const { family, port } of sockets) {
    // A socket of IPv6 takes IPv4 as well.
    for (const each of family === 'ipv6' ? (['ipv4', 'ipv6'] as const) : ([family] as const)) {
      const rules = here.rules.get(each);
      // Where nothing is captured at all, that is the finding.
      if (rules === undefined || !portsReached(rules, 'PREROUTING').has(capture.inboundPort)) continue;
      const fate = fateOf(rules, 'PREROUTING', port);
      if (fate.port === undefined) found.set(port, fate);
    }
  }
  return [...found].map(([port, fate]) => ({ port, fate }));
}

function judgeOutbound(hop: string, capture: ObservedCapture, here: Namespace, asked: number): Finding[] {
  const rules = here.rules.get('ipv4');
  if (rules === undefined || !portsReached(rules, 'OUTPUT').has(capture.outboundPort)) return [];
  const fate = fateOf(rules, 'OUTPUT', asked);
  // Without such a rule it is a matter of the address, which is not known here.
  if (fate.port !== undefined || !fate.rule.includes('--dport')) return [];
  const advice =
    'take it out of -o (--istio-local-outbound-ports-exclude) of `iptables apply`, or add it to -q or its range to -i';
  return [bad(hop, `outbound port ${asked} is not captured: ${because(fate)}`, advice)];
}

function because({ rule }: Fate): string {
  return rule === '' ? 'no rule includes it' : `the rule "${rule}"`;
}
