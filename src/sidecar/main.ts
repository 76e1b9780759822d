// The sidecar's one door: builds the parts in order, starts them, and takes them down again.

import { type Address, formatAddress } from '../runtime/address.ts';
import { createRouteServer } from '../runtime/http-routes.ts';
import { close, listen } from '../runtime/listen.ts';
import type { Log } from '../runtime/log.ts';
import { unsupervised, type Worker } from '../runtime/supervisor/worker.ts';
import { errorMessage } from '../runtime/usage-error.ts';
import { type AdminSources, adminRoutes, siblingRoutes } from './admin.ts';
import { watchCapture } from './capture/watch-capture.ts';
import type { SidecarConfig } from './config.ts';
import { type BoundPairs, dumpConfig } from './config-dump.ts';
import { createExporter } from './create-exporter.ts';
import { quiet } from './drain.ts';
import { SpanEncoder } from './export/span-encoder.ts';
import type { ProxyListener } from './forward-proxy/proxy-listener.ts';
import { HeaderForwarding } from './header-forwarding.ts';
import type { Listener } from './listener.ts';
import { Listeners } from './listeners.ts';
import type { LoadedConfig } from './load-config.ts';
import type { Connections } from './open-connection.ts';
import { Siblings } from './siblings.ts';
import { SidecarStats } from './stats.ts';
import { startSweep } from './sweep.ts';
import { Tracer } from './tracer.ts';

export interface Sidecar {
  readonly inbound: readonly Listener[];
  readonly outbound: readonly Listener[];
  readonly outboundProxy: ProxyListener | undefined;
  /** Where captured connections arrive; undefined without `--capture`. */
  readonly captured: BoundPairs['captured'];
  readonly admin: Address;
  /** R9: not ready, accepting on until no connection is left or the drain time-out, spans flushed last. */
  drain(): Promise<void>;
  /** Resolves when `POST /quitquitquit` asks the process to drain and end. */
  readonly quitRequested: Promise<void>;
}

const flushTimeoutMs = 5_000;

/**
 * Starts a sidecar.
 * @param worker this process's place among the workers of its supervisor
 * @throws UsageError when an address cannot be bound or a TLS file cannot be read; nothing is left listening then
 */
export async function startSidecar(loaded: LoadedConfig, log: Log, worker: Worker = unsupervised): Promise<Sidecar> {
  const whole = { ...loaded.config, workers: worker.workers };
  const config = shareOf(whole);
  const parts = createParts(config, log);
  const { exporter, tracer, connections, stats } = parts;
  const listeners = new Listeners();
  const siblings = new Siblings(worker);
  const life = createLife();
  const metricSources = { ...parts, captureReport: () => listeners.captureStatus?.last };
  const metrics = once(() =>
    import('./load-metrics.ts').then(({ createMetrics }) => createMetrics(metricSources, worker)),
  );
  const configDump = () => dumpConfig(whole, loaded.origins, listeners.bound);
  let captureLines = async (): Promise<readonly string[]> => [];
  const asked = { metrics, configDump, captureLines: () => captureLines() };
  const sources: AdminSources = { ...parts, ...life, ...asked, log, worker };
  const onAdminError = (error: unknown) => log.error({ error: errorMessage(error) }, 'admin');
  const adminServer = createRouteServer(adminRoutes(sources, siblings), onAdminError);
  try {
    const admin = await listen(adminServer, config.admin, `--admin ${formatAddress(config.admin)}`);
    await listeners.open(config, tracer, connections, () => faultLogger(log));
    siblings.listen(siblingRoutes(sources), log);
    life.setReady();
    worker.listening();
    if (listeners.captureStatus !== undefined) {
      captureLines = watchCapture(listeners.captureStatus, log, worker.index === 0);
    }
    // Only now: nobody waits for metrics at the start, and everybody for the listeners.
    setImmediate(() => void metrics());
    const stopSweep = startSweep(connections, [config.headTimeoutMs, config.idleTimeoutMs, config.heartbeatIntervalMs]);
    const drain = async () => {
      life.startDraining();
      await quiet(connections, stats, config);
      stopSweep();
      listeners.close();
      worker.stoppedAccepting();
      for (const connection of connections) connection.destroy();
      await exporter.shutdown(flushTimeoutMs);
      siblings.close();
      await close(adminServer);
      const { created, exported, dropped } = exporter;
      log.info({ created, exported, dropped: Object.fromEntries(dropped) }, 'stopped');
    };
    const { inbound, outbound, outboundProxy, captured } = listeners;
    return { inbound, outbound, outboundProxy, captured, admin, drain, quitRequested: life.quitRequested };
  } catch (error) {
    listeners.close();
    adminServer.close();
    await exporter.shutdown(0);
    throw error;
  }
}

/** One worker's share of what bounds the whole sidecar (R14). */
function shareOf(config: SidecarConfig): SidecarConfig {
  return { ...config, maxConnections: Math.ceil(config.maxConnections / config.workers) };
}

/** What follows a request from its first byte to its span's departure. */
function createParts(config: SidecarConfig, log: Log) {
  const stats = new SidecarStats();
  // With several workers a request and the calls made for it may pass through different ones (R14).
  const makesCalls = config.outbound.length > 0 || config.outboundProxy !== undefined || config.capture !== undefined;
  const forwarding = new HeaderForwarding(makesCalls && config.workers === 1);
  const encoder = new SpanEncoder({
    attributes: config.spanAttributes,
    customTags: config.customTags,
    maxPathTagLength: config.maxPathTagLength,
    allowedQueryParameters: new Set(config.allowedQueryParameters),
    service: config.service,
    environment: process.env,
  });
  const exporter = createExporter(config, encoder, log);
  const connections: Connections = new Set();
  return { stats, forwarding, exporter, connections, tracer: new Tracer(config, exporter, stats, forwarding) };
}

/** Ready or not, and asked to end or not. */
function createLife() {
  let ready = false;
  const setReady = () => {
    ready = true;
  };
  const startDraining = () => {
    ready = false;
  };
  let quit = () => {};
  const quitRequested = new Promise<void>((resolve) => {
    quit = resolve;
  });
  return { isReady: () => ready, setReady, startDraining, quit, quitRequested };
}

function once<T>(create: () => Promise<T>): () => Promise<T> {
  let created: Promise<T> | undefined;
  return () => {
    created ??= create();
    return created;
  };
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
