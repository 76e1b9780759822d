// One large body at a time, down and up: bytes a second, CPU for each GiB, and whether memory stays flat.
import { atLeast, atMost } from '../bars.ts';
import type { BulkKind } from '../bulk.ts';
import { awaitLine, startProgram, stop } from '../children.ts';
import { median } from '../median.ts';
import { splice, tracecarFull } from '../peers/all.ts';
import { direct, type Peer, type RunningPeer, readPort } from '../peers/peer.ts';
import { peakResidentBytes, resetPeak, treeUsage } from '../proc.ts';
import { accountText, settle, startSink } from '../sink.ts';
import type { Column, Row, Study, StudyContext } from '../study.ts';

const peers: readonly Peer[] = [direct, splice, tracecarFull];
const kinds: readonly BulkKind[] = ['down', 'chunked', 'up'];
const described = {
  down: 'down, Content-Length',
  chunked: 'down, chunks of 64 KiB',
  up: 'up, Content-Length',
} as const;
const gibibyte = 2 ** 30;

const columns: readonly Column[] = [
  { key: 'body', title: 'body' },
  { key: 'peer', title: '' },
  { key: 'megabytesPerSecond', title: 'MB/s', digits: 0 },
  { key: 'speedToSplice', title: '× splice', digits: 2 },
  { key: 'cpuSecondsPerGib', title: 'CPU s/GiB', digits: 3 },
  { key: 'peakRssMb', title: 'peak RSS MB', digits: 1 },
  { key: 'failed', title: 'failed', digits: 0 },
];

interface Transfer {
  readonly ok: boolean;
  readonly durationUs: number;
  readonly cpuUs: number;
  readonly peakBytes: number;
}

export const throughput: Study = {
  name: 'throughput',
  summary: 'one large body at a time through one connection, down and up',
  flags: {
    mebibytes: { fallback: [1024], min: 1, max: 1_048_576, meaning: 'size of a body' },
    rounds: { fallback: [3], min: 1, max: 100, meaning: 'bodies of each kind for each peer, in turns' },
  },
  run: async (context) => {
    const upstream = startProgram('bulk upstream', 'load', 'programs/bulk-upstream.js');
    const upstreamPort = await awaitLine(upstream, 'stdout', readPort);
    const sink = await startSink(1);
    const sinkPort = sink.ports[0] ?? 0;
    const running: RunningPeer[] = [];
    for (const peer of peers) running.push(await peer.start({ upstreamPort, sinkPort, folder: context.folder }));
    const transfers = new Map<string, Transfer[]>();
    for (let round = 0; round < context.value('rounds'); round++) {
      for (const kind of kinds) {
        for (const [index, peer] of peers.entries()) {
          context.progress(`round ${round + 1}: ${described[kind]}: ${peer.name}`);
          const key = `${kind} ${peer.name}`;
          const one = await transfer(context, running[index] as RunningPeer, kind);
          transfers.set(key, [...(transfers.get(key) ?? []), one]);
        }
      }
    }
    const account = await settle(running[2], sinkPort);
    for (const peer of running) await peer.stop();
    await sink.stop();
    await stop(upstream);
    const rows = kinds.flatMap((kind) => peers.map((peer) => row(context, kind, peer, transfers)));
    const accounts = account === undefined ? [] : [accountText(tracecarFull.name, account)];
    return {
      load: [
        `bodies of ${context.value('mebibytes')} MiB, one connection and one request each, host the only other header; server and client: node:net`,
        `${context.value('rounds')} rounds, taken in turn; medians, the highest peak`,
      ],
      columns,
      rows,
      bars: kinds.flatMap((kind) => bars(rows, kind)),
      notes: account?.complete === true ? accounts : [],
      faults: [
        ...(account?.complete === true ? [] : accounts),
        ...rows
          .filter(({ failed }) => Number(failed) > 0)
          .map(({ peer, body, failed }) => `${peer}, ${body}: ${failed} bodies did not arrive whole`),
      ],
    };
  },
};

async function transfer(context: StudyContext, { port, pid }: RunningPeer, kind: BulkKind): Promise<Transfer> {
  const bytes = context.value('mebibytes') * 2 ** 20;
  const before = pid === undefined ? undefined : treeUsage(pid);
  if (before !== undefined) resetPeak(before.worker.pid);
  const client = startProgram('bulk client', 'load', 'programs/bulk-client.js', String(port), kind, String(bytes));
  const { ok, durationUs } = await awaitLine(client, 'stdout', (line) => JSON.parse(line) as Transfer);
  const after = pid === undefined ? undefined : treeUsage(pid);
  return {
    ok,
    durationUs,
    cpuUs: (after?.cpuUs ?? 0) - (before?.cpuUs ?? 0),
    peakBytes: after === undefined ? 0 : peakResidentBytes(after.worker.pid),
  };
}

function row(context: StudyContext, kind: BulkKind, peer: Peer, transfers: ReadonlyMap<string, Transfer[]>): Row {
  const bytes = context.value('mebibytes') * 2 ** 20;
  const of = (name: string): readonly Transfer[] => transfers.get(`${kind} ${name}`) ?? [];
  const own = of(peer.name);
  const speed = (name: string): number => median(of(name).map(({ durationUs }) => bytes / durationUs));
  const isProcess = peer !== direct;
  return {
    body: described[kind],
    peer: peer.name,
    megabytesPerSecond: speed(peer.name),
    speedToSplice: speed(peer.name) / speed(splice.name),
    cpuSecondsPerGib: isProcess ? median(own.map(({ cpuUs }) => cpuUs)) / 1e6 / (bytes / gibibyte) : undefined,
    peakRssMb: isProcess ? Math.max(...own.map(({ peakBytes }) => peakBytes)) / 1e6 : undefined,
    failed: own.filter(({ ok }) => !ok).length,
  };
}

function bars(rows: readonly Row[], kind: BulkKind) {
  const own = rows.find(({ peer, body }) => peer === tracecarFull.name && body === described[kind]);
  return [
    ...atLeast(`bytes/s of Tracecar to the splice, ${described[kind]}`, Number(own?.speedToSplice), 0.9),
    ...atMost(`peak RSS of Tracecar, ${described[kind]}, MB`, Number(own?.peakRssMb), 120),
  ];
}
