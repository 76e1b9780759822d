// The sidecar's configuration as the operator writes it, checked, with where each value came from.
import type { Address } from '../runtime/address.ts';
import type { Format } from '../trace/context.ts';
import type { CustomTag } from '../trace/custom-tags.ts';
import type { SamplingPolicy } from '../trace/sampling.ts';

export type Direction = 'inbound' | 'outbound';
export type SpanAttributes = 'envoy' | 'semconv' | 'both';
export type RequestIdMode = 'generate' | 'keep' | 'off';
export type OtlpProtocol = 'grpc' | 'http/protobuf';

/** A listen/target pair. */
export interface ListenTarget {
  readonly listen: Address;
  readonly target: Address;
}

/** Connections that iptables rules bring, each to be joined to its original destination. */
export interface CaptureConfig {
  /** Inbound: `redirect` by NAT; `tproxy` untouched, so that the client's address can be kept. Outbound is always NAT. */
  readonly mode: 'redirect' | 'tproxy';
  /** Whose rules. */
  readonly iptables: 'tracecar' | 'istio';
  /** On all addresses, of both families where there are two. */
  readonly inbound: Address;
  /** On loopback only, an address for each family. */
  readonly outbound: readonly Address[];
}

export interface ExportConfig {
  /** As given: `http://host:4317` for grpc; for http/protobuf the base URL, `/v1/traces` is appended. */
  readonly endpoint: string;
  /** A traces endpoint used as it stands (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`), '' when not given. */
  readonly tracesEndpoint: string;
  readonly protocol: OtlpProtocol;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly compression: 'none' | 'gzip';
  readonly certificate: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
  /** Spans that may wait, open batch and batches in flight included; more are dropped and counted. */
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
  readonly scheduleDelayMs: number;
}

export interface SidecarConfig {
  /** undefined: none. */
  readonly capture: CaptureConfig | undefined;
  readonly inbound: readonly ListenTarget[];
  readonly outbound: readonly ListenTarget[];
  /** Where the forward proxy listens. */
  readonly outboundProxy: Address | undefined;
  readonly service: string;
  /** Resource attributes beside service.name, in order. */
  readonly resource: ReadonlyMap<string, string>;
  readonly exporter: ExportConfig;
  readonly sampling: SamplingPolicy;
  /** Formats written on every request, beside those that came in. */
  readonly propagators: readonly (keyof typeof Format)[];
  readonly requestId: RequestIdMode;
  readonly maxAddedHeadBytes: number;
  readonly connectTimeoutMs: number;
  readonly drainTimeoutMs: number;
  /** A drain ends when no connection has been open for so long. */
  readonly drainQuietMs: number;
  /** 0: for ever. */
  readonly headTimeoutMs: number;
  /** 0: never. */
  readonly idleTimeoutMs: number;
  /** 0: never. */
  readonly heartbeatIntervalMs: number;
  /** Open connections of one process; 0: no limit. */
  readonly maxConnections: number;
  readonly maxHeadBytes: number;
  /** Of one connection; 0: no limit. */
  readonly maxSpansPerSecond: number;
  readonly strict: boolean;
  readonly customTags: readonly CustomTag[];
  readonly maxPathTagLength: number;
  readonly allowedQueryParameters: readonly string[];
  readonly spanAttributes: SpanAttributes;
  readonly admin: Address;
  /** Worker processes that share the listening sockets; budgets of the whole sidecar are divided by it (R14). */
  readonly workers: number;
}

/** Where a value came from, for `/config_dump`. */
export type Origin = 'flag' | 'environment' | 'file' | 'default';
