// Speaks to an OTLP backend (Jaeger, Tempo, another collector): the request's bytes as they are.
import { decodeResponse, readRetryDelayMs } from '../../formats/otlp/response.ts';
import { createGrpcTransport } from '../../runtime/export/grpc-transport.ts';
import { createHttpTransport } from '../../runtime/export/http-transport.ts';
import type { Transport } from '../../runtime/export/outcome.ts';
import type { BackendClient } from './queued-exporter.ts';

const exportMethod = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

export interface OtlpEndpoint {
  readonly protocol: 'grpc' | 'http';
  readonly url: string;
}

/** A client over OTLP/gRPC or OTLP/HTTP; every request carries its batch id, should another collector of ours read it. */
export function createOtlpClient(endpoint: OtlpEndpoint, timeoutMs: number): BackendClient {
  const transport = createTransport(endpoint, timeoutMs);
  return {
    send: (request, part) => transport.send(request, { 'tracecar-batch': part }),
    readPartialSuccess: decodeResponse,
    close: () => transport.close(),
  };
}

function createTransport({ protocol, url }: OtlpEndpoint, timeoutMs: number): Transport {
  if (protocol === 'grpc') return createGrpcTransport({ url, method: exportMethod, timeoutMs, readRetryDelayMs });
  return createHttpTransport({ url, contentType: 'application/x-protobuf', timeoutMs });
}
