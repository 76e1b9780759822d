// The receiver of spans: one port for each proxy that exports, and the account of what came in there.
import { awaitLine, type Child, startProgram, stop } from './children.ts';
import type { RunningPeer, SpanCounters } from './peers/peer.ts';

export interface Sink {
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

export interface Account extends SpanCounters {
  /** What the sink counted. */
  readonly received: number;
  /** created = exported + dropped + queued, and the sink received what was exported. */
  readonly complete: boolean;
}

/** Starts the sink on the load's core, with `count` ports. */
export async function startSink(count: number): Promise<Sink> {
  const child: Child = startProgram('sink', 'load', 'programs/sink.js', String(count));
  const { ports } = await awaitLine(child, 'stdout', (line) => JSON.parse(line) as { ports: number[] });
  return { ports, stop: async () => await stop(child) };
}

/** The spans that came in on a port of the sink. */
export async function receivedBy(sinkPort: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${sinkPort}/`);
  return ((await response.json()) as { spans: number }).spans;
}

/**
 * Waits, at most ten seconds, until the peer has nothing queued any more; then draws up the account.
 * @param readReceived asks the sink, where it cannot be reached from here
 */
export async function settle(
  peer: Pick<RunningPeer, 'spans'> | undefined,
  sinkPort: number,
  readReceived = receivedBy,
): Promise<Account | undefined> {
  if (peer?.spans === undefined) return undefined;
  let counters = await peer.spans();
  for (let tries = 0; tries < 100 && counters.queued > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    counters = await peer.spans();
  }
  const { created, exported, dropped, queued } = counters;
  const received = await readReceived(sinkPort);
  const complete = created > 0 && created === exported + dropped + queued && received === exported;
  return { created, exported, dropped, queued, received, complete };
}

/** An account in one line. */
export function accountText(name: string, account: Account): string {
  const { created, exported, dropped, queued, received, complete } = account;
  const sum = `${created} created = ${exported} exported + ${dropped} dropped + ${queued} queued`;
  return `spans of ${name}: ${sum}; ${received} received by the sink: ${complete ? 'adds up' : 'DOES NOT ADD UP'}`;
}
