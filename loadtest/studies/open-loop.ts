// Latency at a constant arrival rate: what a proxy adds to p50 up to p99.9 when it is not the bottleneck.
import { atMost, type Bar } from '../bars.ts';
import { type Bench, type Contender, headersLine, plainRequest, startBench } from '../bench.ts';
import { Histogram } from '../histogram.ts';
import { createOpenLoop, heat, type OpenLoop, steadyLoad } from '../open-loop.ts';
import { splice, tracecarFull } from '../peers/all.ts';
import { envoys } from '../peers/envoy.ts';
import { direct } from '../peers/peer.ts';
import { treeUsage } from '../proc.ts';
import type { Column, Row, Study, StudyContext, StudyReport } from '../study.ts';

const envoyOpenTelemetry = 'Envoy OpenTelemetry';
const longestSliceSeconds = 10;
const peers = [direct, splice, tracecarFull, ...envoys.filter(({ name }) => name !== 'Envoy Zipkin')];
const percentiles = [50, 90, 99, 99.9, 100] as const;

const columns: readonly Column[] = [
  { key: 'peer', title: '' },
  { key: 'tracing', title: 'tracing' },
  { key: 'ratePerSecond', title: 'req/s', digits: 0 },
  { key: 'p50Ms', title: 'p50 ms', digits: 3 },
  { key: 'p90Ms', title: 'p90 ms', digits: 3 },
  { key: 'p99Ms', title: 'p99 ms', digits: 3 },
  { key: 'p99_9Ms', title: 'p99.9 ms', digits: 3 },
  { key: 'maxMs', title: 'max ms', digits: 2 },
  { key: 'generatorLateP99Ms', title: 'generator late p99 ms', digits: 3 },
  { key: 'cpuUsPerRequest', title: 'CPU µs/req', digits: 1 },
  { key: 'requests', title: 'requests', digits: 0 },
  { key: 'failed', title: 'failed', digits: 0 },
];

/** What one peer has gathered over its slices at one rate. */
class Tally {
  readonly latency = new Histogram();
  readonly late = new Histogram();
  cpuUs = 0;
  sent = 0;
  failed = 0;
}

export const openLoop: Study = {
  name: 'open-loop',
  summary: 'small GETs at a constant rate, latency from the moment each was due',
  parts: peers.map(({ name }) => name),
  flags: {
    seconds: { fallback: [6], min: 0.3, max: 3600, meaning: 'measured seconds for each peer and rate (long run: 300)' },
    rate: { fallback: [1000, 5000], min: 1, max: 50_000, meaning: 'requests per second', repeat: true },
    connections: { fallback: [32], min: 1, max: 1000, meaning: 'keep-alive connections' },
  },
  run: async (context) => {
    const bench = await startBench(
      peers.filter(({ name }) => context.parts.includes(name)),
      context.folder,
    );
    const generator = createOpenLoop(context.folder);
    for (const { peer, running } of bench.contenders) {
      context.progress(`warming up: ${peer.name}`);
      await heat(generator, running.port, context.value('seconds'));
    }
    const rows: Row[] = [];
    for (const rate of context.values('rate')) rows.push(...(await oneRate(context, bench, generator, rate)));
    const { notes, faults } = await bench.accounts();
    await bench.stop();
    return report(context, bench, generator, rows, notes, faults);
  },
};

async function oneRate(context: StudyContext, bench: Bench, generator: OpenLoop, rate: number): Promise<Row[]> {
  const slices = sliceCount(context);
  const tallies = bench.contenders.map(() => new Tally());
  for (let slice = 0; slice < slices; slice++) {
    for (const [index, contender] of bench.contenders.entries()) {
      context.progress(`${rate}/s, slice ${slice + 1} of ${slices}: ${contender.peer.name}`);
      await oneSlice(context, contender, generator, rate, tallies[index] as Tally);
    }
  }
  return bench.contenders.map(({ peer, running }, index) => {
    const { latency, late, cpuUs, sent, failed } = tallies[index] as Tally;
    const [p50Ms, p90Ms, p99Ms, p99_9Ms, maxMs] = percentiles.map((percent) => latency.percentileMs(percent));
    return {
      peer: peer.name,
      tracing: peer.tracing,
      ratePerSecond: rate,
      p50Ms,
      p90Ms,
      p99Ms,
      p99_9Ms,
      maxMs,
      generatorLateP99Ms: late.percentileMs(99),
      cpuUsPerRequest: running.pid === undefined ? undefined : cpuUs / sent,
      requests: latency.count,
      failed,
    };
  });
}

function sliceCount(context: StudyContext): number {
  return Math.max(3, Math.ceil(context.value('seconds') / longestSliceSeconds));
}

function warmUp(context: StudyContext): number {
  return Math.min(steadyLoad.warmUp, context.value('seconds') / sliceCount(context));
}

async function oneSlice(context: StudyContext, { running }: Contender, generator: OpenLoop, rate: number, to: Tally) {
  const seconds = context.value('seconds') / sliceCount(context);
  const connections = context.value('connections');
  const before = running.pid === undefined ? 0 : treeUsage(running.pid).cpuUs;
  const requests = [plainRequest()];
  const result = await generator.run({
    ...steadyLoad,
    warmUp: warmUp(context),
    port: running.port,
    connections,
    rate,
    seconds,
    requests,
  });
  const after = running.pid === undefined ? 0 : treeUsage(running.pid).cpuUs;
  to.latency.merge(result.latency);
  to.late.merge(result.late);
  to.cpuUs += after - before;
  to.sent += result.sent;
  to.failed += result.failed;
}

function report(
  context: StudyContext,
  bench: Bench,
  generator: OpenLoop,
  rows: readonly Row[],
  notes: readonly string[],
  faults: readonly string[],
): StudyReport {
  const slices = sliceCount(context);
  const each = (context.value('seconds') / slices).toFixed(1);
  const failures = rows.filter(({ failed }) => Number(failed) > 0);
  return {
    load: [
      `${context.value('connections')} keep-alive connections from ${generator.name}; upstream: ${bench.upstream}`,
      headersLine(),
      `${slices} slices of ${each} s for each peer and rate, taken in turn, after ${warmUp(context)} s uncounted`,
    ],
    columns,
    rows,
    bars: context.values('rate').flatMap((rate) => bars(rows, rate)),
    notes,
    faults: [
      ...faults,
      ...failures.map(({ peer, ratePerSecond, failed }) => `${peer} at ${ratePerSecond}/s: ${failed} requests failed`),
    ],
  };
}

function bars(rows: readonly Row[], rate: number): Bar[] {
  const figure = (peer: string, key: string): number =>
    Number(rows.find((row) => row.peer === peer && row.ratePerSecond === rate)?.[key] ?? Number.NaN);
  const of = (key: string) => figure(tracecarFull.name, key);
  const at = (what: string) => `${what} of ${tracecarFull.name} at ${rate}/s, ms`;
  return [
    ...atMost(`${at('p99')}: the splice's + 0.3`, of('p99Ms'), figure(splice.name, 'p99Ms') + 0.3),
    ...atMost(`${at('p99.9')}: the splice's + 2`, of('p99_9Ms'), figure(splice.name, 'p99_9Ms') + 2),
    ...atMost(`${at('p99.9')}: that of ${envoyOpenTelemetry}`, of('p99_9Ms'), figure(envoyOpenTelemetry, 'p99_9Ms')),
  ];
}
