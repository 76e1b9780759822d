// The Tracecar sidecar in front of the upstream, exporting over OTLP/HTTP.
import path from 'node:path';
import { awaitLine, type Child, start, stop } from '../children.ts';
import type { Peer, RunningPeer, SpanCounters } from './peer.ts';

/** The built `tracecar`. */
export const main = path.resolve('dist', 'cli', 'main.js');

interface Listening {
  readonly msg?: string;
  /** `127.0.0.1:PORT=host:port` for each pair. */
  readonly inbound?: readonly string[];
  readonly admin?: string;
}

/** Samples of the metrics page by name and labels, as they stand there. */
export type Metrics = ReadonlyMap<string, number>;

export interface RunningSidecar extends RunningPeer {
  readonly child: Child;
  /** The port in front of each target, in the order of the targets. */
  readonly ports: readonly number[];
  /** `host:port` of the admin pages. */
  readonly admin: string;
  metrics(): Promise<Metrics>;
}

export interface SidecarOptions {
  readonly targetPorts: readonly number[];
  readonly sinkPort: number;
  /** Where the first pair listens; 0 chooses. */
  readonly listenPort?: number;
  readonly adminPort?: number;
  readonly flags?: readonly string[];
}

/** Starts a sidecar with one inbound pair for each target. */
export async function startSidecar(name: string, options: SidecarOptions): Promise<RunningSidecar> {
  const flags = [
    ...options.targetPorts.map((port, index) => {
      const listenPort = index === 0 ? (options.listenPort ?? 0) : 0;
      return `--inbound=127.0.0.1:${listenPort}=127.0.0.1:${port}`;
    }),
    `--admin=127.0.0.1:${options.adminPort ?? 0}`,
    '--service=load',
    `--otlp-endpoint=http://127.0.0.1:${options.sinkPort}`,
    '--otlp-protocol=http/protobuf',
    ...(options.flags ?? []),
  ];
  const child = start(name, 'proxy', [process.execPath, main, 'sidecar', ...flags], { LOG_LEVEL: 'info' });
  const { ports, admin } = await awaitLine(child, 'stderr', readListening);
  const metrics = async (): Promise<Metrics> => await readMetrics(admin);
  return {
    child,
    port: ports[0] ?? 0,
    ports,
    admin,
    pid: child.pid,
    metrics,
    spans: async () => spanCounters(await metrics()),
    stop: async () => await stop(child),
  };
}

/** The sidecar with `samplingPercent` of the traces recorded. */
export function tracecar(samplingPercent: number): Peer {
  const name = `Tracecar ${samplingPercent} %`;
  return {
    name,
    tracing: `${samplingPercent} %, OTLP/HTTP`,
    exports: true,
    start: async ({ upstreamPort, sinkPort }) =>
      await startSidecar(name, {
        targetPorts: [upstreamPort],
        sinkPort,
        flags: [`--sampling-overall=${samplingPercent}`],
      }),
  };
}

function readListening(line: string): { ports: number[]; admin: string } | undefined {
  if (!line.startsWith('{')) return undefined;
  const { msg, inbound, admin } = JSON.parse(line) as Listening;
  const ports = (inbound ?? []).map((pair) => Number(/:(\d+)=/.exec(pair)?.[1]));
  return msg === 'listening' && ports.length > 0 && admin !== undefined ? { ports, admin } : undefined;
}

async function readMetrics(admin: string): Promise<Metrics> {
  const response = await fetch(`http://${admin}/stats/prometheus`);
  return parseMetrics(await response.text());
}

/** Reads the text of a metrics page. */
export function parseMetrics(page: string): Metrics {
  const samples = new Map<string, number>();
  for (const line of page.split('\n')) {
    const blank = line.lastIndexOf(' ');
    if (blank > 0 && !line.startsWith('#')) samples.set(line.slice(0, blank), Number(line.slice(blank + 1)));
  }
  return samples;
}

/** The ledger of a sidecar's spans on its metrics page. */
export function spanCounters(metrics: Metrics): SpanCounters {
  const sum = (metric: string): number =>
    [...metrics]
      .filter(([name]) => name === metric || name.startsWith(`${metric}{`))
      .reduce((total, [, value]) => total + value, 0);
  return {
    created: sum('tracecar_spans_created_total'),
    exported: sum('tracecar_spans_exported_total'),
    dropped: sum('tracecar_spans_dropped_total'),
    queued: sum('tracecar_spans_queued'),
  };
}
