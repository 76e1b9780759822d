// The exporter of a configuration: its queue, and the transport that its spans leave by.
import { decodeResponse, readRetryDelayMs } from '../formats/otlp/response.ts';
import { readTlsFiles } from '../runtime/export/http-transport.ts';
import type { Transport } from '../runtime/export/outcome.ts';
import type { Log } from '../runtime/log.ts';
import { errorMessage, UsageError } from '../runtime/usage-error.ts';
import type { ExportConfig, SidecarConfig } from './config.ts';
import { Exporter } from './export/exporter.ts';
import { createOtlpHttpTransport } from './export/otlp-http-transport.ts';
import type { SpanEncoder } from './export/span-encoder.ts';

/** A batch is repeated for so long before its spans are given up. */
const maxElapsedMs = 300_000;

/** @throws UsageError when a TLS file cannot be read */
export function createExporter(config: SidecarConfig, encoder: SpanEncoder, log: Log): Exporter {
  const { maxQueueSize, maxExportBatchSize, scheduleDelayMs } = config.exporter;
  const { service: serviceName, resource } = config;
  const options = { maxQueueSize, maxExportBatchSize, scheduleDelayMs, serviceName, resource, maxElapsedMs };
  const readPartialSuccess = (response: Uint8Array) => {
    const { rejectedSpans, errorMessage: message } = decodeResponse(response);
    return { rejectedSpans: Number(rejectedSpans), message };
  };
  return new Exporter(options, encoder, createTransport(config.exporter), readPartialSuccess, log);
}

function createTransport(config: ExportConfig): Transport {
  const { certificate, clientCertificate, clientKey, timeoutMs, compression, headers } = config;
  const common = { timeoutMs, compression, headers, tls: { certificate, clientCertificate, clientKey } };
  try {
    if (config.protocol === 'grpc') {
      readTlsFiles(common.tls);
      return whenUsed(async () => {
        const { createGrpcTransport } = await import('../runtime/export/grpc-transport.ts');
        const url = config.tracesEndpoint || config.endpoint;
        const method = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
        return createGrpcTransport({ ...common, url, method, readRetryDelayMs });
      });
    }
    const url = config.tracesEndpoint || `${config.endpoint.replace(/\/+$/, '')}/v1/traces`;
    return createOtlpHttpTransport({ ...common, url });
  } catch (error) {
    throw new UsageError(`--otlp-endpoint: ${errorMessage(error)}`);
  }
}

/** A transport that is loaded for its first batch: gRPC is half of a sidecar's start-up time. */
function whenUsed(create: () => Promise<Transport>): Transport {
  let created: Promise<Transport> | undefined;
  return {
    send: async (body, headers) => {
      created ??= create();
      return (await created).send(body, headers);
    },
    close: () => void created?.then((transport) => transport.close()),
  };
}
