// The `collector` command: flags, the embedded store as a sink, the collector's life bound to the process's.
import { Command, Option } from 'commander';
import type { Backend, BackendKind } from '../collector/backends.ts';
import { startCollector } from '../collector/main.ts';
import { formatAddress, parseAddress } from '../runtime/address.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { drainOnSignal } from '../runtime/shutdown.ts';
import { UsageError } from '../runtime/usage-error.ts';
import { createStore, type Store, type StoreServers, startStoreServers } from '../store/main.ts';
import { viewerRoutes } from '../ui/routes.ts';

interface Flags {
  readonly otlpGrpc: string;
  readonly otlpHttp: string;
  readonly metrics: string;
  readonly health: string;
  readonly jaeger: readonly string[];
  readonly otlp: readonly string[];
  readonly zipkin: readonly string[];
  readonly queueBytes: string;
  readonly store: boolean;
  readonly viewer: string;
  readonly zipkinApi: string;
  readonly maxStoreSpans: string;
  readonly logLevel?: string;
}

/** Defines `tracecar collector`. */
export function define(): Command {
  const command = new Command()
    .description("The collector tier's process: OTLP in; OTLP, Zipkin and the embedded store out.")
    .option('--otlp-grpc <ADDR>', 'receive OTLP/gRPC', '127.0.0.1:4317')
    .option('--otlp-http <ADDR>', 'receive OTLP/HTTP: POST /v1/traces, protobuf or JSON', '127.0.0.1:4318')
    .option('--metrics <ADDR>', 'Prometheus metrics at /metrics', '127.0.0.1:8888')
    .option('--health <ADDR>', 'health at /: 200 or 503', '127.0.0.1:13133');
  const otlpForms =
    'http(s)://HOST:PORT is OTLP/HTTP, grpc(s)://HOST:PORT, HOST:PORT and http://HOST:4317 are OTLP/gRPC';
  addBackend(command, 'jaeger', `send to this Jaeger over OTLP (repeat): ${otlpForms}`);
  addBackend(command, 'otlp', 'send to this OTLP backend (repeat), addressed as --jaeger');
  addBackend(
    command,
    'zipkin',
    'send to this Zipkin as v2 JSON (repeat): http(s)://HOST:PORT, path /api/v2/spans if none',
  );
  return command
    .option('--queue-bytes <N>', 'how much may wait for each backend', String(64 * 1024 * 1024))
    .option('--no-store', 'no embedded store, viewer and query APIs')
    .option('--viewer <ADDR>', "the embedded store's viewer and Jaeger API", '127.0.0.1:16686')
    .option('--zipkin-api <ADDR>', "the embedded store's Zipkin API", '127.0.0.1:9411')
    .option('--max-store-spans <N>', 'how many spans the embedded store keeps, oldest traces out first', '100000')
    .option('--log-level <LEVEL>', 'trace, debug, info, warn, error (env LOG_LEVEL, default info)')
    .action(run);
}

function addBackend(command: Command, kind: BackendKind, description: string): void {
  const collect = (value: string, previous: readonly string[]) => [...previous, value];
  command.addOption(new Option(`--${kind} <URL>`, description).argParser(collect).default([], 'none'));
}

async function run(flags: Flags): Promise<void> {
  const log = createLog('collector', flags.logLevel);
  const addresses = {
    otlpGrpc: parseAddress(flags.otlpGrpc, '--otlp-grpc'),
    otlpHttp: parseAddress(flags.otlpHttp, '--otlp-http'),
    metrics: parseAddress(flags.metrics, '--metrics'),
    health: parseAddress(flags.health, '--health'),
  };
  const queueBytes = parseCount(flags.queueBytes, '--queue-bytes');
  const embedded = flags.store ? await startStore(flags, log) : undefined;
  const collector = await startCollector({
    ...addresses,
    backends: backendsOf(flags),
    sinks: embedded === undefined ? [] : [{ name: 'store', accept: (request) => embedded.store.accept(request) }],
    log,
    exporter: { queueBytes },
  });
  drainOnSignal(log, async () => {
    await collector.close();
    await embedded?.servers.close();
    log.info({ destinations: collector.report() }, 'drained');
  });
  log.info(
    {
      otlpGrpc: formatAddress(collector.addresses.otlpGrpc),
      otlpHttp: formatAddress(collector.addresses.otlpHttp),
      metrics: formatAddress(collector.addresses.metrics),
      health: formatAddress(collector.addresses.health),
      ...(embedded === undefined
        ? {}
        : {
            viewer: formatAddress(embedded.servers.viewer),
            zipkinApi: formatAddress(embedded.servers.zipkinApi),
          }),
    },
    'listening',
  );
  if (embedded !== undefined) log.info('the embedded store is in memory: its traces end with this process');
}

async function startStore(flags: Flags, log: Log): Promise<{ store: Store; servers: StoreServers }> {
  const maxSpans = parseCount(flags.maxStoreSpans, '--max-store-spans');
  const viewer = parseAddress(flags.viewer, '--viewer');
  const zipkinApi = parseAddress(flags.zipkinApi, '--zipkin-api');
  const store = createStore({ maxSpans });
  const servers = await startStoreServers(store, { viewer, zipkinApi, log, pages: viewerRoutes() });
  return { store, servers };
}

function backendsOf(flags: Flags): Backend[] {
  const kinds: readonly BackendKind[] = ['jaeger', 'otlp', 'zipkin'];
  return kinds.flatMap((kind) => flags[kind].map((url) => ({ kind, url })));
}

function parseCount(text: string, what: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || !Number.isSafeInteger(count)) {
    throw new UsageError(`${what}: "${text}" is not a whole number of 1 or more`);
  }
  return count;
}
