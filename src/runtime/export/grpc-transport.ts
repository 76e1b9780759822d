// Sends encoded requests as one unary gRPC method, bytes in and bytes out; the status becomes an ExportOutcome.
import {
  Client,
  type ClientOptions,
  compressionAlgorithms,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { readTlsFiles, type TlsFiles } from './http-transport.ts';
import type { ExportOutcome, Transport } from './outcome.ts';
import { grpcCodeName, isRetryableGrpc } from './retryable.ts';

export interface GrpcTransportOptions {
  /** `host:port`, or an http/https URL: https means TLS. */
  readonly url: string;
  /** `/package.Service/Method` */
  readonly method: string;
  readonly timeoutMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly compression?: 'none' | 'gzip';
  readonly tls?: TlsFiles;
  /** The delay of a `google.rpc.RetryInfo` in `grpc-status-details-bin`, when there is one. */
  readonly readRetryDelayMs?: (statusDetails: Uint8Array) => number | undefined;
}

/** A transport over one HTTP/2 channel. INVALID_ARGUMENT is a splittable refusal. */
export function createGrpcTransport(options: GrpcTransportOptions): Transport {
  const { target, secure } = parseTarget(options.url);
  const files = readTlsFiles(options.tls);
  const channel: ClientOptions = {
    // The channel's own back-off would otherwise grow to two minutes and hold data back long after the peer is up again.
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.enable_retries': 0,
    ...(options.compression === 'gzip' ? { 'grpc.default_compression_algorithm': compressionAlgorithms.gzip } : {}),
  };
  const tls = () => credentials.createSsl(files.ca ?? null, files.key ?? null, files.cert ?? null);
  const client = new Client(target, secure ? tls() : credentials.createInsecure(), channel);
  const identity = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  return {
    send: (body, headers = {}) =>
      new Promise<ExportOutcome>((resolve) => {
        const metadata = new Metadata();
        for (const [key, value] of Object.entries({ ...options.headers, ...headers })) metadata.set(key, value);
        const deadline = Date.now() + options.timeoutMs;
        client.makeUnaryRequest(
          options.method,
          identity,
          (b: Buffer) => b,
          body,
          metadata,
          { deadline },
          (error, response) =>
            resolve(
              error
                ? judge(error, options.readRetryDelayMs)
                : { kind: 'accepted', response: response ?? Buffer.alloc(0) },
            ),
        );
      }),
    close: () => client.close(),
  };
}

function parseTarget(url: string): { target: string; secure: boolean } {
  if (!url.includes('://')) return { target: url, secure: false };
  const parsed = new URL(url);
  const secure = parsed.protocol === 'https:';
  return { target: `${parsed.hostname}:${parsed.port || (secure ? 443 : 80)}`, secure };
}

function judge(error: ServiceError, readRetryDelayMs: GrpcTransportOptions['readRetryDelayMs']): ExportOutcome {
  const reason = `${grpcCodeName(error.code)}: ${error.details}`;
  const details = error.metadata?.get('grpc-status-details-bin')[0];
  const delayMs = details instanceof Uint8Array ? readRetryDelayMs?.(details) : undefined;
  if (!isRetryableGrpc(error.code, delayMs !== undefined)) {
    return { kind: 'rejected', reason, splittable: error.code === 3 };
  }
  return delayMs === undefined ? { kind: 'retry', reason } : { kind: 'retry', reason, delayMs };
}
