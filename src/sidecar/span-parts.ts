// What spans say of things that last: connections that are not read, and the parts that show a long span before its end.
import { newSpanId } from '../trace/ids.ts';
import type { SidecarConfig } from './config.ts';
import type { ConnectionEnd } from './connection-observer.ts';
import type { ConnectionSpan } from './connection-span.ts';
import type { Exchange } from './exchange.ts';
import type { ConnectionFacts } from './export/span-template.ts';
import type { SpanEvent, SpanRecord } from './span-record.ts';
import type { TracedConnection } from './tracer.ts';

export const messagesFromClientName = 'tracecar.messages_from_client';
export const messagesFromServerName = 'tracecar.messages_from_server';

/** Time to first byte, as an event at that moment. */
export function firstByte(startMs: number, firstByteMs: number): SpanEvent {
  const attributes = { 'tracecar.time_to_first_byte_ms': Math.max(0, Math.round(firstByteMs - startMs)) };
  return { name: 'first_byte', timeMs: firstByteMs, attributes };
}

/**
 * A part of the span of an exchange that goes on: a child that covers the time since the last one, with what has moved
 * in it. OTLP has no unfinished spans; without parts a stream of hours would be invisible until its end.
 */
export function exchangePart(exchange: Exchange, facts: ConnectionFacts, sinceMs: number, nowMs: number): SpanRecord {
  const { messagesFromClient, messagesFromServer, status } = exchange;
  const attributes = {
    'tracecar.part': exchange.parts + 1,
    'http.request.method': exchange.method,
    'url.path': exchange.target.split('?', 1)[0]!,
    upstream_cluster: facts.upstreamCluster,
    ...(status === 0 ? {} : { 'http.response.status_code': status }),
    'tracecar.bytes_from_client': exchange.requestBytes - exchange.partRequestBytes,
    'tracecar.bytes_from_server': exchange.responseBytes - exchange.partResponseBytes,
    ...(messagesFromClient < 0
      ? {}
      : { [messagesFromClientName]: messagesFromClient - exchange.partMessagesFromClient }),
    ...(messagesFromServer < 0
      ? {}
      : { [messagesFromServerName]: messagesFromServer - exchange.partMessagesFromServer }),
  };
  exchange.parts++;
  exchange.partEndMs = nowMs;
  exchange.partRequestBytes = exchange.requestBytes;
  exchange.partResponseBytes = exchange.responseBytes;
  exchange.partMessagesFromClient = Math.max(0, messagesFromClient);
  exchange.partMessagesFromServer = Math.max(0, messagesFromServer);
  return {
    traceId: exchange.traceId,
    spanId: newSpanId(),
    parentSpanId: exchange.spanId,
    traceState: exchange.traceState,
    name: `${exchange.method} part ${exchange.parts}`,
    kind: 'INTERNAL',
    startMs: sinceMs,
    endMs: nowMs,
    attributes,
    events: [],
    error: false,
  };
}

/** The same for a connection that is not read. */
export function connectionPart(
  span: ConnectionSpan,
  connection: TracedConnection,
  sinceMs: number,
  nowMs: number,
): SpanRecord {
  const fromClient = connection.bytesFromClient - span.partBytesFromClient;
  const fromServer = connection.bytesFromServer - span.partBytesFromServer;
  span.parts++;
  span.partEndMs = nowMs;
  span.partBytesFromClient = connection.bytesFromClient;
  span.partBytesFromServer = connection.bytesFromServer;
  return {
    traceId: span.traceId,
    spanId: newSpanId(),
    parentSpanId: span.spanId,
    traceState: '',
    name: `${span.protocol} part ${span.parts}`,
    kind: 'INTERNAL',
    startMs: sinceMs,
    endMs: nowMs,
    attributes: {
      'tracecar.part': span.parts,
      'network.protocol.name': protocolName(span),
      'tracecar.bytes_from_client': fromClient,
      'tracecar.bytes_from_server': fromServer,
    },
    events: [],
    error: false,
  };
}

/** The span of a connection that is not read. */
export function connectionRecord(
  span: ConnectionSpan,
  connection: TracedConnection,
  config: SidecarConfig,
  end: ConnectionEnd,
  nowMs: number,
): SpanRecord {
  const { facts } = connection.template;
  const inbound = facts.direction === 'inbound';
  const host = span.serverName || (inbound ? config.service : facts.upstreamAddress);
  const failed = end.flag === 'UF' || (isFailure(end) && !span.clientEnded);
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: '',
    traceState: '',
    name: `${span.protocol === 'opaque' ? 'tcp' : span.protocol} ${host}:${facts.upstreamPort}`,
    kind: inbound ? 'SERVER' : 'CLIENT',
    startMs: span.startMs,
    endMs: nowMs,
    attributes: {
      ...(config.spanAttributes === 'semconv' ? {} : envoyAttributes(span, facts, end, failed)),
      ...(config.spanAttributes === 'envoy' ? {} : semconvAttributes(span, facts, end, failed)),
      'tracecar.protocol': span.protocol,
      'tracecar.encrypted': span.encrypted ? 'true' : 'false',
      'tracecar.tls.alpn': span.alpn.join(','),
      'tracecar.bytes_from_client': connection.bytesFromClient,
      'tracecar.bytes_from_server': connection.bytesFromServer,
      'tracecar.sampling.reason': span.reason,
    },
    events: span.firstServerByteMs === 0 ? [] : [firstByte(span.startMs, span.firstServerByteMs)],
    error: failed,
  };
}

/** A peer that closes is how connections end; a reset or a connect that failed is not. */
function isFailure(end: ConnectionEnd): boolean {
  return end.errorType !== '' && end.errorType !== 'client_disconnected' && end.errorType !== 'shutdown';
}

function envoyAttributes(span: ConnectionSpan, facts: ConnectionFacts, end: ConnectionEnd, failed: boolean) {
  return {
    component: 'proxy',
    'peer.address': facts.clientAddress,
    upstream_cluster: facts.upstreamCluster,
    'upstream_cluster.name': facts.upstreamCluster,
    upstream_address: `${facts.upstreamAddress}:${facts.upstreamPort}`,
    requested_server_name: span.serverName,
    response_flags: failed ? end.flag : '-',
    error: failed ? 'true' : '',
  };
}

function semconvAttributes(span: ConnectionSpan, facts: ConnectionFacts, end: ConnectionEnd, failed: boolean) {
  const inbound = facts.direction === 'inbound';
  return {
    'network.transport': 'tcp',
    'network.protocol.name': protocolName(span),
    'server.address': span.serverName || facts.upstreamAddress,
    'server.port': facts.upstreamPort,
    'client.address': inbound ? facts.clientAddress : '',
    'network.peer.address': inbound ? facts.clientAddress : facts.upstreamAddress,
    'network.peer.port': inbound ? facts.clientPort : facts.upstreamPort,
    'tls.client.server_name': span.serverName,
    'db.namespace': span.database,
    'error.type': failed ? end.errorType : '',
  };
}

/** The semantic conventions' name; '' when nobody knows. */
function protocolName(span: ConnectionSpan): string {
  if (span.protocol === 'opaque') return '';
  return span.protocol === 'http2' ? 'http' : span.protocol;
}
