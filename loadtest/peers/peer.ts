// What every proxy in the comparison has in common.
import { awaitLine, awaitPort, type Child, freePort, start, startProgram, stop } from '../children.ts';

/** What a peer is given: the upstream, a port of the span sink that is its own, a folder for its files. */
export interface Surroundings {
  readonly upstreamPort: number;
  readonly sinkPort: number;
  readonly folder: string;
}

/** What became of the spans of a Tracecar sidecar, by its own counters. */
export interface SpanCounters {
  readonly created: number;
  readonly exported: number;
  readonly dropped: number;
  readonly queued: number;
}

export interface RunningPeer {
  readonly port: number;
  /** Undefined for `direct`, which is no process. */
  readonly pid: number | undefined;
  readonly spans?: () => Promise<SpanCounters>;
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** What the proxy does about tracing, for the table. */
  readonly tracing: string;
  /** Whether it sends spans to the sink. */
  readonly exports: boolean;
  /** Why it cannot run here, or undefined. */
  readonly missing?: string | undefined;
  start(surroundings: Surroundings): Promise<RunningPeer>;
}

/** The port in a line such as `{"address":"127.0.0.1","port":4711}`. */
export function readPort(line: string): number | undefined {
  return line.startsWith('{') ? (JSON.parse(line) as { port?: number }).port : undefined;
}

/** The load generator talks to the upstream: what the machine does without any proxy. */
export const direct: Peer = {
  name: 'direct',
  tracing: '',
  exports: false,
  start: async ({ upstreamPort }) => ({ port: upstreamPort, pid: undefined, stop: async () => {} }),
};

/** A peer that is a Node program in programs/ and prints its port. */
export function nodePeer(name: string, file: string): Peer {
  return {
    name,
    tracing: 'none',
    exports: false,
    start: async ({ upstreamPort }) => {
      const child = startProgram(name, 'proxy', file, String(upstreamPort));
      return running(child, await awaitLine(child, 'stdout', readPort));
    },
  };
}

/** Starts a server that must be told its port, and waits until it accepts connections there. */
export async function startServer(name: string, command: (port: number) => readonly string[]): Promise<RunningPeer> {
  const port = await freePort();
  const child = start(name, 'proxy', command(port));
  await awaitPort(child, port);
  return running(child, port);
}

function running(child: Child, port: number): RunningPeer {
  return { port, pid: child.pid, stop: async () => await stop(child) };
}
