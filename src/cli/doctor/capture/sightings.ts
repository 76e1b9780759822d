// Which protocol was seen on which port: of the connections that are open, and of the latest spans.
import type { StoredSpan } from '../../demo/stored-spans.ts';
import type { Direction, ObservedConnection } from './observed.ts';

export interface Sighting {
  readonly direction: Direction;
  /** Of the connection's target, in spans of TLS the server name the client asked for. */
  readonly host: string;
  readonly port: number;
  /** `http1`, `http2`, `tls`, `postgresql` or `opaque`. */
  readonly protocol: string;
  /** The doubt that ended reading, '' when there was none. */
  readonly doubt: string;
}

/** What the name of a connection's span begins with. */
const spanProtocols: Readonly<Record<string, string>> = {
  tls: 'tls',
  tcp: 'opaque',
  http2: 'http2',
  postgresql: 'postgresql',
};

/** Every protocol by direction, host and port, each once; the newest first where `spans` come so. */
export function findSightings(
  service: string,
  connections: readonly ObservedConnection[],
  spans: readonly StoredSpan[],
): Sighting[] {
  const all = [
    ...connections
      .filter(({ protocol }) => protocol !== 'unknown')
      .map(({ degraded, ...seen }): Sighting => ({ ...seen, doubt: degraded })),
    ...spans.filter((span) => span.service === service).flatMap(ofSpan),
  ];
  const byKey = new Map(all.map((seen) => [Object.values(seen).join(' '), seen]));
  return [...byKey.values()];
}

function ofSpan(span: StoredSpan): Sighting[] {
  const direction: Direction = span.kind === 'SERVER' ? 'inbound' : 'outbound';
  const [, word = '', name = '', namedPort = ''] = /^(\w+) (\S+):(\d+)$/.exec(span.name) ?? [];
  const isConnection = word in spanProtocols && span.tags['http.request.method'] === undefined;
  const isRequest = span.tags['http.request.method'] !== undefined || span.tags['http.method'] !== undefined;
  // A CONNECT is HTTP on its way to the proxy only.
  const isTunnel = (span.tags['http.request.method'] ?? span.tags['http.method']) === 'CONNECT';
  if (!isConnection && (!isRequest || isTunnel)) return [];
  // By the target where the span has it: a name in a Host header may say another port.
  const [, clusterPort, cluster] =
    /^(?:in|out)bound\|(\d+)\|\|(.*)$/.exec(String(span.tags.upstream_cluster ?? '')) ?? [];
  const port = Number(clusterPort ?? span.tags['server.port'] ?? namedPort);
  if (!(port > 0)) return [];
  const host = isConnection ? name : (cluster ?? '');
  const doubt = String(span.tags['error.type'] ?? '');
  return [{ direction, host, port, protocol: isConnection ? spanProtocols[word]! : 'http1', doubt }];
}
