// A span of Zipkin's v2 JSON (zipkin-api, zipkin2-api.yaml); what is absent is left out.

export type ZipkinKind = 'CLIENT' | 'SERVER' | 'PRODUCER' | 'CONSUMER';

export interface ZipkinEndpoint {
  readonly serviceName?: string;
  readonly ipv4?: string;
  readonly ipv6?: string;
  readonly port?: number;
}

export interface ZipkinAnnotation {
  /** Microseconds since 1970. */
  readonly timestamp: number;
  readonly value: string;
}

export interface ZipkinSpan {
  /** 32 lower-case hex characters. */
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: ZipkinKind;
  readonly name?: string;
  /** Microseconds since 1970. */
  readonly timestamp?: number;
  /** Microseconds, at least 1. */
  readonly duration?: number;
  readonly localEndpoint?: ZipkinEndpoint;
  readonly remoteEndpoint?: ZipkinEndpoint;
  readonly annotations?: readonly ZipkinAnnotation[];
  readonly tags?: Readonly<Record<string, string>>;
}
