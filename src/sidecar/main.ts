// The sidecar's one door: builds the parts in order, starts them, and takes them down again.

import { decodeResponse, readRetryDelayMs } from '../formats/otlp/response.ts';
import { type Address, formatAddress } from '../runtime/address.ts';
import type { Transport } from '../runtime/export/outcome.ts';
import { createRouteServer } from '../runtime/http-routes.ts';
import { close, listen } from '../runtime/listen.ts';
import type { Log } from '../runtime/log.ts';
import { createRegistry } from '../runtime/metrics.ts';
import { unsupervised, type Worker } from '../runtime/supervisor/worker.ts';
import { errorMessage, UsageError } from '../runtime/usage-error.ts';
import { adminRoutes } from './admin.ts';
import type { Direction, ExportConfig, SidecarConfig } from './config.ts';
import { dumpConfig } from './config-dump.ts';
import { Exporter } from './export/exporter.ts';
import { createOtlpHttpTransport } from './export/otlp-http-transport.ts';
import { SpanEncoder } from './export/span-encoder.ts';
import { ProxyListener } from './forward-proxy/proxy-listener.ts';
import { HeaderForwarding } from './header-forwarding.ts';
import { Listener } from './listener.ts';
import type { LoadedConfig } from './load-config.ts';
import { registerMetrics } from './metrics.ts';
import type { Connections } from './open-connection.ts';
import { SidecarStats } from './stats.ts';
import { startSweep } from './sweep.ts';
import { Tracer } from './tracer.ts';

export interface Sidecar {
  readonly inbound: readonly Listener[];
  readonly outbound: readonly Listener[];
  readonly outboundProxy: ProxyListener | undefined;
  readonly admin: Address;
  /** R9: not ready, accepting on until no connection is left or the drain time-out, spans flushed last. */
  drain(): Promise<void>;
}

/** A batch is repeated for so long before its spans are given up. */
const maxElapsedMs = 300_000;
const flushTimeoutMs = 5_000;
const drainPollMs = 50;

/**
 * Starts a sidecar.
 * @param worker this process's place among the workers of its supervisor
 * @throws UsageError when an address cannot be bound or a TLS file cannot be read; nothing is left listening then
 */
export async function startSidecar(
  { config, origins }: LoadedConfig,
  log: Log,
  worker: Worker = unsupervised,
): Promise<Sidecar> {
  const stats = new SidecarStats();
  const forwarding = new HeaderForwarding(config.outbound.length > 0 || config.outboundProxy !== undefined);
  const encoder = new SpanEncoder({
    attributes: config.spanAttributes,
    customTags: config.customTags,
    maxPathTagLength: config.maxPathTagLength,
    allowedQueryParameters: new Set(config.allowedQueryParameters),
    service: config.service,
    environment: process.env,
  });
  const exporter = await createExporter(config, encoder, log);
  const tracer = new Tracer(config, exporter, stats, forwarding);
  const connections: Connections = new Set();
  const registry = createRegistry();
  registerMetrics(registry, { stats, exporter, forwarding, connections });

  let ready = false;
  const listeners: Listener[] = [];
  let outboundProxy: ProxyListener | undefined;
  const of = (direction: Direction) => listeners.filter((listener) => listener.direction === direction);
  const configDump = () =>
    dumpConfig(config, origins, {
      inbound: of('inbound').map(String),
      outbound: of('outbound').map(String),
      outboundProxy: String(outboundProxy ?? ''),
    });
  const routes = adminRoutes({ isReady: () => ready, registry, configDump, connections, forwarding, exporter });
  const adminServer = createRouteServer(routes, (error) => log.error({ error: errorMessage(error) }, 'admin'));
  try {
    const admin = await listen(adminServer, config.admin, `--admin ${formatAddress(config.admin)}`);
    for (const direction of ['inbound', 'outbound'] as const) {
      for (const pair of config[direction]) {
        const onFault = faultLogger(log);
        listeners.push(await Listener.open(direction, pair, config, tracer, connections, onFault));
      }
    }
    if (config.outboundProxy !== undefined) {
      outboundProxy = await ProxyListener.open(config.outboundProxy, config, tracer, connections, faultLogger(log));
    }
    ready = true;
    const { headTimeoutMs, idleTimeoutMs, heartbeatIntervalMs } = config;
    const stopSweep = startSweep(connections, [headTimeoutMs, idleTimeoutMs, heartbeatIntervalMs]);
    const drain = async () => {
      ready = false;
      await drained(connections, config.drainTimeoutMs);
      stopSweep();
      for (const listener of [...listeners, outboundProxy]) void listener?.close();
      worker.stoppedAccepting();
      for (const connection of connections) connection.destroy();
      await exporter.shutdown(flushTimeoutMs);
      await close(adminServer);
      log.info(
        { created: exporter.created, exported: exporter.exported, dropped: Object.fromEntries(exporter.dropped) },
        'stopped',
      );
    };
    return { inbound: of('inbound'), outbound: of('outbound'), outboundProxy, admin, drain };
  } catch (error) {
    for (const listener of [...listeners, outboundProxy]) void listener?.close();
    adminServer.close();
    await exporter.shutdown(0);
    throw error;
  }
}

/** Resolves when no connection is left, or after `timeoutMs`. */
async function drained(connections: Connections, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (connections.size > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, drainPollMs));
  }
}

/** One line per kind of fault and minute: a fault on every request must not become a flood of logs. */
function faultLogger(log: Log): (error: unknown) => void {
  let quietUntilMs = 0;
  return (error) => {
    if (performance.now() < quietUntilMs) return;
    quietUntilMs = performance.now() + 60_000;
    log.error(
      { error: error instanceof Error ? error.stack : String(error) },
      'observer fault; the connection turned opaque',
    );
  };
}

async function createExporter(config: SidecarConfig, encoder: SpanEncoder, log: Log): Promise<Exporter> {
  const { maxQueueSize, maxExportBatchSize, scheduleDelayMs } = config.exporter;
  const { service: serviceName, resource } = config;
  const options = { maxQueueSize, maxExportBatchSize, scheduleDelayMs, serviceName, resource, maxElapsedMs };
  const readPartialSuccess = (response: Uint8Array) => {
    const { rejectedSpans, errorMessage: message } = decodeResponse(response);
    return { rejectedSpans: Number(rejectedSpans), message };
  };
  return new Exporter(options, encoder, await createTransport(config.exporter), readPartialSuccess, log);
}

async function createTransport(config: ExportConfig): Promise<Transport> {
  const { certificate, clientCertificate, clientKey, timeoutMs, compression, headers } = config;
  const common = { timeoutMs, compression, headers, tls: { certificate, clientCertificate, clientKey } };
  try {
    if (config.protocol === 'grpc') {
      // Loaded only when it is used: it is half of a sidecar's start-up time.
      const { createGrpcTransport } = await import('../runtime/export/grpc-transport.ts');
      const url = config.tracesEndpoint || config.endpoint;
      const method = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
      return createGrpcTransport({ ...common, url, method, readRetryDelayMs });
    }
    const url = config.tracesEndpoint || `${config.endpoint.replace(/\/+$/, '')}/v1/traces`;
    return createOtlpHttpTransport({ ...common, url });
  } catch (error) {
    throw new UsageError(`--otlp-endpoint: ${errorMessage(error)}`);
  }
}
