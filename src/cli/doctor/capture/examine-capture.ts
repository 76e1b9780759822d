// What the doctor finds out about capture by rules, for each sidecar that has it; without any it has nothing to say.
import type { StoredSpan } from '../../demo/stored-spans.ts';
import type { Finding } from '../findings.ts';
import type { SidecarObservation } from '../observation.ts';
import { judgeProtocolPorts, judgeTls } from './judge-protocols.ts';
import { judgeRules } from './judge-rules.ts';
import { applicationSockets, judgeOwners, judgePorts } from './judge-sockets.ts';
import { isHere, lookAround, type Machine } from './namespace.ts';
import { findSightings } from './sightings.ts';

/**
 * The findings on rules, ports and users, and on protocols.
 * @param via the URL that was asked about, undefined when none was
 * @param latest the spans of a service's latest traces
 */
export async function examineCapture(
  sidecars: readonly SidecarObservation[],
  via: string | undefined,
  machine: Machine,
  latest: (service: string) => Promise<readonly StoredSpan[]>,
): Promise<Finding[]> {
  const lists = await Promise.all(
    sidecars.map(async (sidecar) => {
      if (sidecar.unreachable !== '') return [];
      const sightings = findSightings(sidecar.service, sidecar.connections, await latest(sidecar.service));
      const ports = judgeProtocolPorts(sidecar.service, sightings);
      if (sidecar.capture === undefined) return ports;
      return [...examineNamespace(sidecar, via, machine), ...ports, ...judgeTls(sidecar.service, sightings)];
    }),
  );
  return lists.flat();
}

function examineNamespace(sidecar: SidecarObservation, via: string | undefined, machine: Machine): Finding[] {
  const { service, capture } = sidecar;
  if (capture === undefined) return [];
  const here = isHere(sidecar.admin, machine) ? lookAround(machine) : undefined;
  const sockets = here === undefined ? [] : applicationSockets(here, ownPorts(sidecar));
  const rules = judgeRules(service, capture, here, sockets);
  if (here === undefined) return rules;
  const asked = via === undefined ? undefined : Number(new URL(via).port || (via.startsWith('https') ? 443 : 80));
  return [...rules, ...judgeOwners(service, here, sockets), ...judgePorts(service, capture, here, sockets, asked)];
}

/** The ports on which the sidecar itself listens. */
function ownPorts({ admin, inbound, outbound, outboundProxy, capture }: SidecarObservation): Set<number> {
  const listens = [...inbound, ...outbound].map((pair) => pair.split('=')[0] ?? '');
  const ports = [...listens, outboundProxy, admin].map((address) => Number(/\d+$/.exec(address)?.[0]));
  return new Set([...ports, capture?.inboundPort ?? 0, capture?.outboundPort ?? 0]);
}
