// Backends as operators name them on the command line: --jaeger URL, --otlp URL, --zipkin URL.
import { UsageError } from '../runtime/usage-error.ts';
import type { OtlpEndpoint } from './exporters/otlp-client.ts';

export type BackendKind = 'jaeger' | 'otlp' | 'zipkin';

export interface Backend {
  readonly kind: BackendKind;
  readonly url: string;
}

/**
 * Where an OTLP backend (Jaeger is one) listens:
 * `http(s)://host:port` is OTLP/HTTP at /v1/traces, with a path at that path; `grpc://host:port`, `host:port` and, as
 * OpenTelemetry's own settings have it, `http://host:4317` without a path are OTLP/gRPC; `grpcs://` and
 * `https://host:4317` the same with TLS.
 * @throws UsageError naming the flag when it is none of these
 */
export function parseOtlpEndpoint({ kind, url: text }: Backend): OtlpEndpoint {
  if (/^[^/:\s]+:\d{1,5}$|^\[[0-9a-fA-F:.]+\]:\d{1,5}$/.test(text)) return { protocol: 'grpc', url: `http://${text}` };
  const url = parseUrl(text, kind);
  if (url.protocol === 'grpc:' || url.protocol === 'grpcs:') {
    if (url.port === '') throw misuse(kind, text, 'a gRPC address needs a port');
    return { protocol: 'grpc', url: `${url.protocol === 'grpcs:' ? 'https' : 'http'}://${url.host}` };
  }
  requireHttp(url, kind, text);
  const hasPath = url.pathname !== '/';
  if (url.port === '4317' && !hasPath) return { protocol: 'grpc', url: `${url.protocol}//${url.host}` };
  if (!hasPath) url.pathname = '/v1/traces';
  return { protocol: 'http', url: url.href };
}

/**
 * Where a Zipkin backend listens: `http(s)://host:port`, which means /api/v2/spans there, or the whole URL.
 * @throws UsageError naming the flag when it is neither
 */
export function parseZipkinUrl({ kind, url: text }: Backend): string {
  const url = parseUrl(text, kind);
  requireHttp(url, kind, text);
  if (url.pathname === '/') url.pathname = '/api/v2/spans';
  return url.href;
}

function parseUrl(text: string, kind: BackendKind): URL {
  try {
    return new URL(text);
  } catch {
    throw misuse(kind, text, 'not a URL');
  }
}

function requireHttp(url: URL, kind: BackendKind, text: string): void {
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw misuse(kind, text, `"${url.protocol}" is no protocol this flag takes`);
  }
}

function misuse(kind: BackendKind, text: string, problem: string): UsageError {
  const grpc = kind === 'zipkin' ? '' : ' or grpc://HOST:PORT';
  return new UsageError(`--${kind}: "${text}": ${problem}; write http://HOST:PORT${grpc}`);
}
