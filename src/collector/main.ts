// The collector's one door: starts its servers around one pipeline, and stops them in the order that loses nothing.
import type { Address } from '../runtime/address.ts';
import { createRouteServer, text } from '../runtime/http-routes.ts';
import { close, listen } from '../runtime/listen.ts';
import type { Log } from '../runtime/log.ts';
import type { Backend } from './backends.ts';
import type { Destination } from './destination.ts';
import { createExporters } from './exporters/create.ts';
import { defaultExporterSettings, type ExporterSettings } from './exporters/queued-exporter.ts';
import { createCollectorRegistry } from './metrics.ts';
import { Pipeline } from './pipeline.ts';
import { startOtlpGrpc } from './receivers/otlp-grpc.ts';
import { startOtlpHttp } from './receivers/otlp-http.ts';
import { SinkDestination, type TraceSink } from './sink.ts';

export interface CollectorOptions {
  /** Listen addresses; port 0 takes any free port. */
  readonly otlpGrpc: Address;
  readonly otlpHttp: Address;
  readonly metrics: Address;
  readonly health: Address;
  readonly backends: readonly Backend[];
  /** Destinations in this process, such as the embedded store. */
  readonly sinks?: readonly TraceSink[];
  readonly log: Log;
  /** Of a request, before and after decompression. Default 64 MiB. */
  readonly maxRequestBytes?: number;
  /** Of all request bodies being received over HTTP; more is answered 503. Default four times `maxRequestBytes`. */
  readonly maxBytesInFlight?: number;
  /** Queue, batches, retries; the same for every backend. */
  readonly exporter?: Partial<ExporterSettings>;
  /** Per attempt. Default 10 s. */
  readonly exportTimeoutMs?: number;
  /** How long `close` goes on delivering. Default 10 s. */
  readonly drainTimeoutMs?: number;
}

/** What happened to the spans handed to one destination; accepted = sent + dropped + queued. */
export interface DestinationReport {
  readonly name: string;
  readonly accepted: number;
  readonly sent: number;
  readonly queued: number;
  readonly dropped: Readonly<Record<string, number>>;
}

export interface Collector {
  /** Where it really listens. */
  readonly addresses: Readonly<Record<'otlpGrpc' | 'otlpHttp' | 'metrics' | 'health', Address>>;
  report(): DestinationReport[];
  /** Turns not ready, stops receiving, delivers what is queued until the drain's deadline, then closes everything. */
  close(): Promise<void>;
}

const defaultMaxRequestBytes = 64 * 1024 * 1024;
const receiverGraceMs = 2_000;

/**
 * Starts a collector. A backend that is down does not hold up the start.
 * @throws UsageError when a backend's URL cannot be used or an address cannot be bound; nothing stays open then
 */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { log } = options;
  const settings = { ...defaultExporterSettings, ...options.exporter };
  const exporters = createExporters(options.backends, settings, options.exportTimeoutMs ?? 10_000, log);
  const sinks = (options.sinks ?? []).map((sink) => new SinkDestination(sink, log));
  const destinations: readonly Destination[] = [...sinks, ...exporters];
  const pipeline = new Pipeline(destinations);
  const stops: (() => Promise<void>)[] = [];
  const state = { isReady: false };
  try {
    const addresses = await startServers(options, pipeline, destinations, state, stops);
    state.isReady = true;
    return {
      addresses,
      report: () => destinations.map(reportOf),
      close: async () => {
        state.isReady = false;
        await stopAll(stops, destinations, options.drainTimeoutMs ?? 10_000);
      },
    };
  } catch (error) {
    await stopAll(stops, destinations, 0);
    throw error;
  }
}

/** Starts receivers last: nobody can send before everything behind them is there. `stops` is filled in that order. */
async function startServers(
  options: CollectorOptions,
  pipeline: Pipeline,
  destinations: readonly Destination[],
  state: { readonly isReady: boolean },
  stops: (() => Promise<void>)[],
): Promise<Collector['addresses']> {
  const registry = createCollectorRegistry(pipeline, destinations);
  const metricsServer = createRouteServer({
    'GET /metrics': async () => ({ type: registry.contentType, body: await registry.metrics() }),
  });
  const metrics = await listen(metricsServer, options.metrics, '--metrics');
  stops.push(() => close(metricsServer));
  const healthServer = createRouteServer({
    'GET /': () => (state.isReady ? text('ready\n') : text('not ready\n', 503)),
  });
  const health = await listen(healthServer, options.health, '--health');
  stops.push(() => close(healthServer));
  const maxRequestBytes = options.maxRequestBytes ?? defaultMaxRequestBytes;
  const maxBytesInFlight = options.maxBytesInFlight ?? 4 * maxRequestBytes;
  const grpc = await startOtlpGrpc(options.otlpGrpc, pipeline, maxRequestBytes);
  stops.push(() => grpc.stop(receiverGraceMs));
  const http = await startOtlpHttp(options.otlpHttp, pipeline, { maxRequestBytes, maxBytesInFlight }, options.log);
  stops.push(() => http.stop(receiverGraceMs));
  return { otlpGrpc: grpc.address, otlpHttp: http.address, metrics, health };
}

/** Receivers first, then the queues; metrics and health stay up to tell of the drain. */
async function stopAll(
  stops: readonly (() => Promise<void>)[],
  destinations: readonly Destination[],
  drainTimeoutMs: number,
): Promise<void> {
  await Promise.all(stops.slice(2).map((stop) => stop()));
  await Promise.all(destinations.map((destination) => destination.drain(drainTimeoutMs)));
  await Promise.all(stops.slice(0, 2).map((stop) => stop()));
}

function reportOf({ name, stats, queuedSpans }: Destination): DestinationReport {
  return {
    name,
    accepted: stats.accepted,
    sent: stats.sent,
    queued: queuedSpans,
    dropped: Object.fromEntries(stats.dropped),
  };
}
