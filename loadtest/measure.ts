// Runs every peer in turn, round after round, and takes the median: the machine's noise then hits all of them alike.
import { stop } from './children.ts';
import { createGenerator, type LoadResult } from './generator.ts';
import { median } from './median.ts';
import type { Peer, RunningPeer } from './peers/peer.ts';
import { treeUsage } from './proc.ts';
import type { Scenario } from './scenario.ts';
import { type Account, receivedBy, settle, startSink } from './sink.ts';
import { startUpstream } from './upstream.ts';

const rounds = 5;
/** The first round also compiles the hot path of the peers that run on a JIT. */
const firstWarmUpSeconds = 3;
const warmUpSeconds = 1;

/** One window of load on one peer. */
interface Window extends LoadResult {
  readonly cpuUs: number;
  readonly residentBytes: number;
  readonly workerBytes: number;
}

export interface Row {
  readonly peer: Peer;
  readonly requests: number;
  readonly errors: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Undefined for `direct`. */
  readonly cpuUsPerRequest: number | undefined;
  readonly residentBytes: number | undefined;
  /** The largest process alone, where there is more than one. */
  readonly workerBytes: number | undefined;
  /** Spans the sink counted, for peers that export. */
  readonly spansReceived: number | undefined;
  readonly account: Account | undefined;
}

export interface Measurement {
  readonly generator: string;
  readonly upstream: string;
  readonly rounds: number;
  readonly rows: readonly Row[];
}

/** Measures `peers` under `scenario`, `seconds` for each in all; `progress` is told what is running. */
export async function measure(
  scenario: Scenario,
  peers: readonly Peer[],
  seconds: number,
  folder: string,
  progress: (what: string) => void,
): Promise<Measurement> {
  const upstream = await startUpstream(scenario, folder);
  const sink = await startSink(peers.length);
  const { ports } = sink;
  const generator = createGenerator(scenario, folder);
  const running: RunningPeer[] = [];
  for (const [index, peer] of peers.entries()) {
    const sinkPort = ports[index] ?? 0;
    running.push(await peer.start({ upstreamPort: upstream.port, sinkPort, folder }));
  }
  const windows: Window[][] = peers.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, peer] of running.entries()) {
      progress(`round ${round + 1} of ${rounds}: ${peers[index]?.name}`);
      await generator.run(peer.port, round === 0 ? firstWarmUpSeconds : warmUpSeconds);
      windows[index]?.push(await oneWindow(peer, () => generator.run(peer.port, seconds / rounds)));
    }
  }
  progress('counting spans');
  const rows: Row[] = [];
  for (const [index, peer] of peers.entries()) {
    const account = await settle(running[index], ports[index] ?? 0);
    rows.push(summarize(peer, windows[index] ?? [], account, await receivedBy(ports[index] ?? 0)));
  }
  for (const peer of running) await peer.stop();
  await sink.stop();
  await stop(upstream.child);
  return { generator: generator.name, upstream: upstream.name, rounds, rows };
}

async function oneWindow({ pid }: RunningPeer, load: () => Promise<LoadResult>): Promise<Window> {
  const before = pid === undefined ? undefined : treeUsage(pid);
  const result = await load();
  const after = pid === undefined ? undefined : treeUsage(pid);
  return {
    ...result,
    cpuUs: (after?.cpuUs ?? 0) - (before?.cpuUs ?? 0),
    residentBytes: after?.residentBytes ?? 0,
    workerBytes: after?.worker.residentBytes ?? 0,
  };
}

function summarize(peer: Peer, windows: readonly Window[], account: Account | undefined, received: number): Row {
  const of = (pick: (window: Window) => number): number => median(windows.map(pick));
  const isProcess = windows.some((window) => window.residentBytes > 0);
  return {
    peer,
    requests: windows.reduce((total, window) => total + window.requests, 0),
    errors: windows.reduce((total, window) => total + window.errors, 0),
    requestsPerSecond: of((window) => window.requests / (window.durationUs / 1e6)),
    p50Ms: of((window) => window.p50Us / 1000),
    p99Ms: of((window) => window.p99Us / 1000),
    cpuUsPerRequest: isProcess ? of((window) => window.cpuUs / window.requests) : undefined,
    residentBytes: isProcess ? of((window) => window.residentBytes) : undefined,
    workerBytes: isProcess ? of((window) => window.workerBytes) : undefined,
    spansReceived: peer.exports ? received : undefined,
    account,
  };
}
