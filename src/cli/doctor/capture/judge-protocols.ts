// Where a port and what is spoken on it do not go together, and what cannot be read because it is encrypted.
import { bad, type Finding, open } from '../findings.ts';
import type { Sighting } from './sightings.ts';

/** Ports that people and tools take for plain HTTP, and for HTTPS. */
const httpPorts = new Set([80, 3000, 5000, 8000, 8008, 8080, 8081]);
const httpsPorts = new Set([443, 4443, 6443, 8443, 9443]);
/** The doubt about an answer that does not begin as HTTP/1. */
const notHttpAnswer = 'bad_status_line';
/** Those shown by name; the rest is a number. */
const maxNamed = 5;

/** One finding a port that is wrong for its protocol, each with what to do. */
export function judgeProtocolPorts(service: string, sightings: readonly Sighting[]): Finding[] {
  const hop = `protocol at ${service}`;
  const found = new Map<string, Finding>();
  for (const seen of sightings) {
    const [detail, advice] = mismatch(seen) ?? [];
    if (detail !== undefined && advice !== undefined) found.set(detail, bad(hop, detail, advice));
  }
  return [...found.values()];
}

function mismatch({ direction, host, port, protocol, doubt }: Sighting): readonly [string, string] | undefined {
  const where =
    direction === 'inbound' ? `inbound port ${port}` : `${host === '' ? 'outbound port ' : `${host}:`}${port}`;
  if (protocol === 'http1' && doubt === notHttpAnswer) {
    return [
      `${where}: HTTP/1 requests are answered by something else (${doubt})`,
      'the target speaks TLS or another protocol there: name the port on which it speaks plain HTTP, or call it by https://',
    ];
  }
  if (protocol === 'http1' && httpsPorts.has(port)) {
    return [
      `${where}: plain HTTP on a port that is known for HTTPS`,
      'move it to a port for plain HTTP (80, 8080), or call it by https://: what goes by port numbers (load balancers, probes, policies) expects TLS there',
    ];
  }
  if (protocol === 'tls' && httpPorts.has(port)) {
    return [
      `${where}: TLS on a port that is known for plain HTTP`,
      'let TLS end in front of the pod and call this port by http://, or move TLS to a port for it (443, 8443)',
    ];
  }
  if ((protocol === 'opaque' || protocol === 'postgresql') && httpPorts.has(port)) {
    return [
      `${where}: ${protocol === 'opaque' ? 'something that is no HTTP' : 'PostgreSQL'} on a port that is known for plain HTTP`,
      'see who sends what there: its bytes pass unread, with one span a connection; exclude the port if that is right (-d, -o of `iptables apply`)',
    ];
  }
  return undefined;
}

/** TLS that only passes: one line a direction, which is no fault. */
export function judgeTls(service: string, sightings: readonly Sighting[]): Finding[] {
  return (['inbound', 'outbound'] as const).flatMap((direction) => {
    const tls = sightings.filter((seen) => seen.protocol === 'tls' && seen.direction === direction);
    const places = [
      ...new Set(tls.map(({ host, port }) => (direction === 'inbound' ? `port ${port}` : `${host}:${port}`))),
    ];
    if (places.length === 0) return [];
    const more = places.length > maxNamed ? ` and ${places.length - maxNamed} more` : '';
    const named = places.slice(0, maxNamed).join(', ') + more;
    const detail = `${direction} ${named}: encrypted, so there is one span a connection, with the server's name and no requests, and the trace ends there`;
    return [open(`TLS at ${service}`, detail, tlsAdvice[direction])];
  });
}

const tlsAdvice = {
  inbound:
    'let TLS end in front of the pod (ingress, gateway, load balancer), and let the application serve plain HTTP',
  outbound:
    'within the cluster call by http://; for what is outside, the name is all that can be seen without a library in the application',
} as const;
