// The Tracecar sidecar in front of the upstream, exporting over OTLP/HTTP.
import path from 'node:path';
import { awaitLine, start, stop } from '../children.ts';
import type { Peer, SpanCounters } from './peer.ts';

const main = path.resolve('dist', 'cli', 'main.js');

interface Listening {
  readonly msg?: string;
  /** `127.0.0.1:PORT=host:port` for each pair. */
  readonly inbound?: readonly string[];
  readonly admin?: string;
}

/** The sidecar with `samplingPercent` of the traces recorded. */
export function tracecar(samplingPercent: number): Peer {
  const name = `Tracecar ${samplingPercent} %`;
  return {
    name,
    tracing: `${samplingPercent} %, OTLP/HTTP`,
    exports: true,
    start: async ({ upstreamPort, sinkPort }) => {
      const flags = [
        `--inbound=127.0.0.1:0=127.0.0.1:${upstreamPort}`,
        '--admin=127.0.0.1:0',
        '--service=load',
        `--otlp-endpoint=http://127.0.0.1:${sinkPort}`,
        '--otlp-protocol=http/protobuf',
        `--sampling-overall=${samplingPercent}`,
      ];
      const child = start(name, 'proxy', [process.execPath, main, 'sidecar', ...flags], { LOG_LEVEL: 'info' });
      const { port, admin } = await awaitLine(child, 'stderr', readListening);
      return {
        port,
        pid: child.pid,
        spans: async () => await readCounters(admin),
        stop: async () => await stop(child),
      };
    },
  };
}

function readListening(line: string): { port: number; admin: string } | undefined {
  if (!line.startsWith('{')) return undefined;
  const { msg, inbound, admin } = JSON.parse(line) as Listening;
  const port = /:(\d+)=/.exec(inbound?.[0] ?? '')?.[1];
  return msg === 'listening' && port !== undefined && admin !== undefined ? { port: Number(port), admin } : undefined;
}

async function readCounters(admin: string): Promise<SpanCounters> {
  const response = await fetch(`http://${admin}/stats/prometheus`);
  const text = await response.text();
  const sum = (metric: string): number =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${metric} `) || line.startsWith(`${metric}{`))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  return {
    created: sum('tracecar_spans_created_total'),
    exported: sum('tracecar_spans_exported_total'),
    dropped: sum('tracecar_spans_dropped_total'),
    queued: sum('tracecar_spans_queued'),
  };
}
