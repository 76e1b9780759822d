// Which attributes of a client or producer span name the other side, by OpenTelemetry's ranking for Zipkin.
import { isIP } from 'node:net';
import type { AnyValue, KeyValue } from '../otlp/span.ts';
import type { ZipkinEndpoint } from './span.ts';

interface Rank {
  readonly key: string;
  readonly portKey?: string;
}

/** First match wins (OpenTelemetry specification, "Zipkin Exporter", remote endpoint). */
const ranking: readonly Rank[] = [
  { key: 'peer.service' },
  { key: 'server.address', portKey: 'server.port' },
  { key: 'net.peer.name', portKey: 'net.peer.port' },
  { key: 'network.peer.address', portKey: 'network.peer.port' },
  { key: 'server.socket.domain', portKey: 'server.socket.port' },
  { key: 'server.socket.address', portKey: 'server.socket.port' },
  { key: 'net.sock.peer.name', portKey: 'net.sock.peer.port' },
  { key: 'net.sock.peer.addr', portKey: 'net.sock.peer.port' },
  { key: 'peer.hostname' },
  { key: 'peer.address' },
  { key: 'db.name' },
];

/** Where the other side's address may also stand when a name of higher rank was found. */
const addressKeys: readonly Rank[] = ranking.filter(
  ({ key }) => /address$|addr$/.test(key) && key !== 'server.address',
);

/**
 * The remote endpoint of a client or producer span, or undefined when no attribute of the ranking is there.
 * The ranked value becomes the service name even when it is an address, for without a name Zipkin draws no dependency;
 * an address found beside it becomes ipv4 or ipv6, with its port.
 */
export function remoteEndpoint(attributes: readonly KeyValue[]): ZipkinEndpoint | undefined {
  const values = new Map(attributes.map(({ key, value }) => [key, value]));
  const found = ranking.find(({ key }) => stringOf(values.get(key)) !== '');
  if (found === undefined) return undefined;
  const serviceName = stringOf(values.get(found.key));
  const addressRank =
    isIP(serviceName) > 0 ? found : addressKeys.find(({ key }) => isIP(stringOf(values.get(key))) > 0);
  const address = addressRank === undefined ? '' : stringOf(values.get(addressRank.key));
  const port = portOf(values, addressRank) ?? portOf(values, found);
  return {
    serviceName,
    ...(isIP(address) === 4 ? { ipv4: address } : {}),
    ...(isIP(address) === 6 ? { ipv6: address } : {}),
    ...(port === undefined ? {} : { port }),
  };
}

function stringOf(value: AnyValue | undefined): string {
  return value?.kind === 'string' ? value.value : '';
}

/** Ports come as integers, and from older instrumentation as text. */
function portOf(values: ReadonlyMap<string, AnyValue>, rank: Rank | undefined): number | undefined {
  const value = rank?.portKey === undefined ? undefined : values.get(rank.portKey);
  const port = value?.kind === 'int' || value?.kind === 'string' ? Number(value.value) : 0;
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}
