// The surroundings of a study: the upstream, the sink and the peers, started in order and taken down again.
import { stop } from './children.ts';
import type { Peer, RunningPeer } from './peers/peer.ts';
import { describeHead, encodeRequest, type Scenario, scenarios } from './scenario.ts';
import { accountText, receivedBy, settle, startSink } from './sink.ts';
import { startUpstream } from './upstream.ts';

/** A peer that runs, with its place in the sink. */
export interface Contender {
  readonly peer: Peer;
  readonly running: RunningPeer;
  readonly sinkPort: number;
}

export interface Bench {
  readonly upstream: string;
  readonly contenders: readonly Contender[];
  /** One line for each sidecar on what became of its spans; what does not add up is a fault. */
  accounts(): Promise<{ notes: string[]; faults: string[] }>;
  stop(): Promise<void>;
}

/** The scenario whose requests the studies send: small GETs without trace headers. */
export function plainScenario(): Scenario {
  const [plain] = scenarios;
  if (plain === undefined) throw new Error('there is no scenario');
  return plain;
}

/** `plainScenario` as a raw request. */
export function plainRequest(): string {
  return encodeRequest(plainScenario(), '127.0.0.1');
}

/** Which headers the load carries, for the heading of a table. */
export function headersLine(): string {
  const { names, bytes } = describeHead(plainScenario());
  return `headers the load carries (${names.length}, ${bytes} bytes of head): ${names.join(', ')}; answers of ${plainScenario().responseBody.length} bytes`;
}

/** Starts those of `peers` that this machine has, behind them one upstream that answers `plainScenario`. */
export async function startBench(peers: readonly Peer[], folder: string): Promise<Bench> {
  const present = peers.filter(({ missing }) => missing === undefined);
  const left = peers.filter(({ missing }) => missing !== undefined);
  const upstream = await startUpstream(plainScenario(), folder);
  const sink = await startSink(present.length);
  const contenders: Contender[] = [];
  for (const [index, peer] of present.entries()) {
    const sinkPort = sink.ports[index] ?? 0;
    const running = await peer.start({ upstreamPort: upstream.port, sinkPort, folder });
    contenders.push({ peer, running, sinkPort });
  }
  return {
    upstream: upstream.name,
    contenders,
    accounts: async () => await accounts(contenders, left),
    stop: async () => {
      for (const { running } of contenders) await running.stop();
      await sink.stop();
      await stop(upstream.child);
    },
  };
}

async function accounts(contenders: readonly Contender[], left: readonly Peer[]) {
  const notes: string[] = [];
  const faults: string[] = [];
  for (const { peer, running, sinkPort } of contenders) {
    const account = await settle(running, sinkPort);
    if (account !== undefined) (account.complete ? notes : faults).push(accountText(peer.name, account));
    else if (peer.exports) notes.push(`spans of ${peer.name}: ${await receivedBy(sinkPort)} received by the sink`);
  }
  for (const { name, missing } of left) notes.push(`left out: ${name} (${missing})`);
  return { notes, faults };
}
