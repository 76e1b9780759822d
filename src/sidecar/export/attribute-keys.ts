// Attribute keys as the bytes they are in a KeyValue message, encoded once.

/** A KeyValue's `key` field: tag, length, UTF-8 name; undefined when a custom tag of the same name replaces it. */
export type Key = Uint8Array | undefined;

/** Encodes a key (KeyValue.key is field 1). Keys of 128 bytes and more take a two-byte length. */
export function encodeKey(name: string): Uint8Array {
  const bytes = Buffer.from(name);
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 0x7f) | 0x80, bytes.length >> 7];
  return Uint8Array.from([0x0a, ...length, ...bytes]);
}

/** Envoy's tags (spec/envoy-tracing.md section 3), both columns: there is one span per hop. */
export const envoyNames = {
  component: 'component',
  nodeId: 'node_id',
  peerAddress: 'peer.address',
  upstreamCluster: 'upstream_cluster',
  upstreamClusterName: 'upstream_cluster.name',
  upstreamAddress: 'upstream_address',
  requestId: 'guid:x-request-id',
  clientTraceId: 'guid:x-client-trace-id',
  url: 'http.url',
  method: 'http.method',
  protocol: 'http.protocol',
  downstreamCluster: 'downstream_cluster',
  userAgent: 'user_agent',
  requestSize: 'request_size',
  responseSize: 'response_size',
  statusCode: 'http.status_code',
  responseFlags: 'response_flags',
  error: 'error',
} as const;

/** OpenTelemetry's stable HTTP conventions. */
export const semconvNames = {
  requestMethod: 'http.request.method',
  scheme: 'url.scheme',
  path: 'url.path',
  query: 'url.query',
  responseStatusCode: 'http.response.status_code',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  clientAddress: 'client.address',
  networkPeerAddress: 'network.peer.address',
  networkPeerPort: 'network.peer.port',
  protocolVersion: 'network.protocol.version',
  userAgentOriginal: 'user_agent.original',
  requestBodySize: 'http.request.body.size',
  responseBodySize: 'http.response.body.size',
  errorType: 'error.type',
} as const;

/** Why the request was recorded: every decision explains itself. */
export const samplingReasonName = 'tracecar.sampling.reason';

export type Keys<T> = { readonly [K in keyof T]: Key };

/** Encodes a set of names, leaving out what custom tags replace. */
export function encodeKeys<T extends Readonly<Record<string, string>>>(
  names: T,
  replaced: ReadonlySet<string>,
): Keys<T> {
  const entries = Object.entries(names).map(([role, name]) => [role, replaced.has(name) ? undefined : encodeKey(name)]);
  return Object.fromEntries(entries) as Keys<T>;
}
