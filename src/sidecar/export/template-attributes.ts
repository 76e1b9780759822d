// The attributes that the requests of a connection mostly repeat, by Envoy's names and by the semantic conventions'.
import { hostname } from 'node:os';
import type { Exchange } from '../exchange.ts';
import type { envoyNames, Keys, semconvNames } from './attribute-keys.ts';
import { textWriter } from './span-fields.ts';
import type { ConnectionFacts } from './span-template.ts';
import type { SpanWriter } from './span-writer.ts';
import { splitAuthority } from './url-attributes.ts';

/** Envoy's tags but those of the target and the response (spec/envoy-tracing.md section 3). */
export function writeEnvoyTemplate(
  writer: SpanWriter,
  keys: Keys<typeof envoyNames>,
  exchange: Exchange,
  facts: ConnectionFacts,
): void {
  const text = textWriter(exchange);
  writer.asciiAttribute(keys.component, 'proxy');
  writer.textAttribute(keys.nodeId, `sidecar~${hostname()}`);
  writer.textAttribute(keys.upstreamCluster, facts.upstreamCluster);
  writer.textAttribute(keys.upstreamClusterName, facts.upstreamCluster);
  if (facts.upstreamAddress !== '') {
    writer.textAttribute(keys.upstreamAddress, `${facts.upstreamAddress}:${facts.upstreamPort}`);
  }
  writer.asciiAttribute(keys.method, exchange.method);
  writer.asciiAttribute(keys.protocol, exchange.minorVersion === 0 ? 'HTTP/1.0' : 'HTTP/1.1');
  text(writer, keys.downstreamCluster, exchange.downstreamCluster || '-');
  text(writer, keys.userAgent, exchange.userAgent || '-');
}

/** The stable HTTP conventions, likewise. */
export function writeSemconvTemplate(
  writer: SpanWriter,
  keys: Keys<typeof semconvNames>,
  exchange: Exchange,
  authority: string,
  facts: ConnectionFacts,
): void {
  const text = textWriter(exchange);
  const server = splitAuthority(authority);
  writer.asciiAttribute(keys.scheme, 'http');
  writer.asciiAttribute(keys.requestMethod, exchange.method);
  if (server.host !== '') text(writer, keys.serverAddress, server.host);
  writer.intAttribute(keys.serverPort, server.port || facts.upstreamPort);
  writer.asciiAttribute(keys.protocolVersion, exchange.minorVersion === 0 ? '1.0' : '1.1');
  if (exchange.userAgent !== '') text(writer, keys.userAgentOriginal, exchange.userAgent);
}

/** Who is at the other end of the connection, by either set of names: what its requests do not share with others'. */
export function writePeer(
  writer: SpanWriter,
  envoy: Keys<typeof envoyNames> | undefined,
  semconv: Keys<typeof semconvNames> | undefined,
  facts: ConnectionFacts,
): void {
  const inbound = facts.direction === 'inbound';
  const peer = inbound ? facts.clientAddress : facts.upstreamAddress;
  if (envoy !== undefined) writer.textAttribute(envoy.peerAddress, facts.clientAddress);
  if (semconv === undefined) return;
  if (inbound) writer.textAttribute(semconv.clientAddress, facts.clientAddress);
  if (peer === '') return;
  writer.textAttribute(semconv.networkPeerAddress, peer);
  writer.intAttribute(semconv.networkPeerPort, inbound ? facts.clientPort : facts.upstreamPort);
}
