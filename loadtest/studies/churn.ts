// New connections at a constant rate, one request on each, closed by the server: nothing may fail, nothing may pile up.
import { type Contender, headersLine, plainScenario, startBench } from '../bench.ts';
import { createOpenLoop, type OpenLoadResult, type OpenLoop } from '../open-loop.ts';
import { splice, tracecarFull } from '../peers/all.ts';
import { treeUsage, type Usage } from '../proc.ts';
import { encodeRequest } from '../scenario.ts';
import type { Column, Row, Study, StudyContext } from '../study.ts';

const rounds = 2;
const sources = 8;

const columns: readonly Column[] = [
  { key: 'peer', title: '' },
  { key: 'ratePerSecond', title: 'connections/s', digits: 0 },
  { key: 'connections', title: 'connections', digits: 0 },
  { key: 'failed', title: 'failed', digits: 0 },
  { key: 'cpuUsPerConnection', title: 'CPU µs/connection', digits: 1 },
  { key: 'p50Ms', title: 'p50 ms', digits: 2 },
  { key: 'p99Ms', title: 'p99 ms', digits: 2 },
  { key: 'rssBeforeMb', title: 'RSS MB before', digits: 1 },
  { key: 'rssAfterMb', title: 'after', digits: 1 },
  { key: 'workerAfterMb', title: 'worker after', digits: 1 },
];

export const churn: Study = {
  name: 'churn',
  summary: 'a new connection for each request, Connection: close',
  flags: {
    seconds: { fallback: [6], min: 0.5, max: 3600, meaning: 'seconds for each peer in all (long run: 60)' },
    rate: { fallback: [2000], min: 1, max: 20_000, meaning: 'new connections per second' },
    connections: { fallback: [1000], min: 1, max: 5000, meaning: 'most connections open at a time' },
  },
  run: async (context) => {
    const bench = await startBench([splice, tracecarFull], context.folder);
    const generator = createOpenLoop(context.folder);
    // Compiles the hot path and opens the first pages before the memory is read.
    const warmUp = Math.min(1, context.value('seconds') / rounds);
    for (const { running } of bench.contenders) await oneRun(context, generator, running.port, warmUp);
    const before = bench.contenders.map(usage);
    const results: OpenLoadResult[][] = bench.contenders.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const [index, { peer, running }] of bench.contenders.entries()) {
        context.progress(`round ${round + 1} of ${rounds}: ${peer.name}`);
        results[index]?.push(await oneRun(context, generator, running.port, context.value('seconds') / rounds));
      }
    }
    const rows = bench.contenders.map((contender, index) =>
      row(contender, context.value('rate'), before[index], results[index] ?? []),
    );
    const { notes, faults } = await bench.accounts();
    await bench.stop();
    return {
      load: [
        `one GET on each connection from ${generator.name}, from ${sources} source addresses; upstream: ${bench.upstream}`,
        `${headersLine()}; connection: close beside them`,
        `${rounds} rounds of ${context.value('seconds') / rounds} s for each, taken in turn, after ${warmUp} s uncounted`,
      ],
      columns,
      rows,
      bars: [],
      notes,
      faults: [...faults, ...results.flatMap((of, index) => failures(bench.contenders[index]?.peer.name ?? '', of))],
    };
  },
};

async function oneRun(context: StudyContext, generator: OpenLoop, port: number, seconds: number) {
  const closing = { ...plainScenario(), headers: () => [{ name: 'connection', value: 'close' }] };
  return await generator.run({
    port,
    connections: context.value('connections'),
    rate: context.value('rate'),
    seconds,
    warmUp: 0,
    total: 0,
    close: true,
    sources,
    requests: [encodeRequest(closing, '127.0.0.1')],
  });
}

function usage({ running }: Contender): Usage {
  return treeUsage(running.pid ?? 0);
}

function row(contender: Contender, rate: number, before: Usage | undefined, results: readonly OpenLoadResult[]): Row {
  const after = usage(contender);
  const latency = results[0]?.latency;
  for (const other of results.slice(1)) latency?.merge(other.latency);
  const sum = (pick: (result: OpenLoadResult) => number) => results.reduce((total, result) => total + pick(result), 0);
  const connections = sum(({ sent, errors }) => sent + (errors.connect ?? 0));
  return {
    peer: contender.peer.name,
    ratePerSecond: rate,
    connections,
    failed: sum(({ failed }) => failed),
    cpuUsPerConnection: (after.cpuUs - (before?.cpuUs ?? 0)) / connections,
    p50Ms: latency?.percentileMs(50),
    p99Ms: latency?.percentileMs(99),
    rssBeforeMb: (before?.residentBytes ?? 0) / 1e6,
    rssAfterMb: after.residentBytes / 1e6,
    workerAfterMb: after.worker.residentBytes / 1e6,
  };
}

function failures(name: string, results: readonly OpenLoadResult[]): string[] {
  return results
    .filter(({ failed }) => failed > 0)
    .map(({ errors }) => `${name}: connections failed: ${JSON.stringify(errors)}`);
}
