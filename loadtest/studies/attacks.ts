// A neighbour's latency while others attack through the same sidecar, beside its own before and after.

import type { Attack } from '../attack.ts';
import { attackList } from '../attacks.ts';
import { atMost } from '../bars.ts';
import { headersLine, plainRequest, plainScenario } from '../bench.ts';
import { awaitLine, jsonLines, onlyWhenIdle, programCommand, start, startProgram, stop } from '../children.ts';
import { Histogram } from '../histogram.ts';
import { createOpenLoop, heat, type OpenLoadResult, type OpenLoop, steadyLoad } from '../open-loop.ts';
import { readPort } from '../peers/peer.ts';
import { type Metrics, type RunningSidecar, startSidecar } from '../peers/tracecar.ts';
import { openFiles, peakResidentBytes, resetPeak, treeUsage } from '../proc.ts';
import { accountText, settle, startSink } from '../sink.ts';
import type { Column, Row, Study, StudyContext } from '../study.ts';
import { startUpstream, type Upstream } from '../upstream.ts';

const columns: readonly Column[] = [
  { key: 'attack', title: 'attack' },
  { key: 'rate', title: 'rate' },
  { key: 'baselineP50Ms', title: 'baseline p50 ms', digits: 2 },
  { key: 'baselineP99Ms', title: 'p99 ms', digits: 2 },
  { key: 'duringP50Ms', title: 'during p50 ms', digits: 2 },
  { key: 'duringP99Ms', title: 'p99 ms', digits: 2 },
  { key: 'p99ToBaseline', title: '×', digits: 2 },
  { key: 'directP99Ms', title: 'past the sidecar p99 ms', digits: 2 },
  { key: 'failed', title: 'failed', digits: 0 },
  { key: 'cpuPercent', title: 'CPU %', digits: 0 },
  { key: 'peakRssMb', title: 'peak RSS MB', digits: 1 },
  { key: 'attackerConnections', title: 'their connections', digits: 0 },
];

interface Stage {
  readonly sidecar: RunningSidecar;
  readonly upstream: Upstream;
  readonly generator: OpenLoop;
  readonly context: StudyContext;
}

export const attacks: Study = {
  name: 'attacks',
  summary: 'p99 of a neighbour at a constant rate while others attack through the same sidecar',
  parts: attackList.map(({ name }) => name),
  flags: {
    seconds: { fallback: [3], min: 0.5, max: 600, meaning: 'seconds of each attack, and of the baseline beside it' },
    rate: { fallback: [1000], min: 1, max: 20_000, meaning: "the neighbour's requests per second" },
    connections: { fallback: [16], min: 1, max: 1000, meaning: "the neighbour's keep-alive connections" },
  },
  run: async (context) => {
    const upstream = await startUpstream(plainScenario(), context.folder);
    const bulk = startProgram('bulk upstream', 'load', 'programs/bulk-upstream.js');
    const bulkPort = await awaitLine(bulk, 'stdout', readPort);
    const sink = await startSink(1);
    const sinkPort = sink.ports[0] ?? 0;
    const sidecar = await startSidecar('Tracecar', { targetPorts: [upstream.port, bulkPort], sinkPort });
    const stage = { sidecar, upstream, generator: createOpenLoop(context.folder), context };
    await heat(stage.generator, sidecar.port, context.value('seconds'));
    const chosen = attackList.filter(({ name }) => context.parts.includes(name));
    const rows: Row[] = [];
    const notes: string[] = [];
    let before = await neighbour(stage, sidecar.port);
    for (const attack of chosen) {
      context.progress(attack.name);
      const { row, moved, after } = await oneAttack(stage, attack, before);
      rows.push(row);
      notes.push(
        `${attack.name}: ${moved.length === 0 ? 'no counter moved that requests do not move' : moved.join(', ')}`,
      );
      before = after;
    }
    const account = await settle(sidecar, sinkPort);
    await sidecar.stop();
    for (const child of [bulk, upstream.child]) await stop(child);
    await sink.stop();
    const accounts = account === undefined ? [] : [accountText('Tracecar', account)];
    const addsUp = account?.complete === true;
    const failures = rows.filter(({ failed }) => Number(failed) > 0);
    return {
      load: [
        `neighbour: ${context.value('rate')} GETs a second on ${context.value('connections')} keep-alive connections from ${stage.generator.name}; upstream: ${upstream.name}`,
        headersLine(),
        `${context.value('seconds')} s of each attack, as long without it before and after; attackers on the load's core, when nobody else there has work (SCHED_IDLE)`,
      ],
      columns,
      rows,
      bars: rows.flatMap(({ attack, p99ToBaseline }) =>
        atMost(`p99 of the neighbour to its baseline during ${attack}`, Number(p99ToBaseline), 2),
      ),
      notes: [...notes, ...(addsUp ? accounts : [])],
      faults: [
        ...(addsUp ? [] : accounts),
        ...failures.map(({ attack, failed }) => `${attack}: ${failed} requests of the neighbour failed`),
      ],
    };
  },
};

async function neighbour({ generator, context }: Stage, port: number): Promise<OpenLoadResult> {
  return await generator.run({
    ...steadyLoad,
    port,
    connections: context.value('connections'),
    rate: context.value('rate'),
    seconds: context.value('seconds'),
    requests: [plainRequest()],
  });
}

/** One attack: a slice through the sidecar, a slice past it (what the shared core does to the neighbour), a slice after. */
async function oneAttack(stage: Stage, attack: Attack, before: OpenLoadResult) {
  const { sidecar, upstream } = stage;
  const pid = sidecar.pid ?? 0;
  const countersBefore = await sidecar.metrics();
  const port = sidecar.ports[attack.target === 'neighbour' ? 0 : 1] ?? 0;
  const program = [...onlyWhenIdle, ...programCommand('programs/attacker.js'), attack.name, String(port)];
  const attacker = start(`attacker ${attack.name}`, 'load', program);
  const next = jsonLines<{ connections: number; actions: number }>(attacker);
  await next();
  const usageBefore = treeUsage(pid);
  resetPeak(usageBefore.worker.pid);
  const startedMs = performance.now();
  const during = await neighbour(stage, sidecar.port);
  const usageAfter = treeUsage(pid);
  const elapsedMs = performance.now() - startedMs;
  const past = await neighbour(stage, upstream.port);
  const peakBytes = peakResidentBytes(usageAfter.worker.pid);
  attacker.process.kill('SIGTERM');
  const { connections } = await next();
  await quiet(usageAfter.worker.pid);
  const moved = difference(countersBefore, await sidecar.metrics());
  const after = await neighbour(stage, sidecar.port);
  const baseline = new Histogram();
  for (const { latency } of [before, after]) baseline.merge(latency);
  const row: Row = {
    attack: attack.name,
    rate: attack.rate,
    baselineP50Ms: baseline.percentileMs(50),
    baselineP99Ms: baseline.percentileMs(99),
    duringP50Ms: during.latency.percentileMs(50),
    duringP99Ms: during.latency.percentileMs(99),
    p99ToBaseline: during.latency.percentileMs(99) / baseline.percentileMs(99),
    directP99Ms: past.latency.percentileMs(99),
    failed: during.failed + after.failed,
    cpuPercent: (usageAfter.cpuUs - usageBefore.cpuUs) / 10 / elapsedMs,
    peakRssMb: peakBytes / 1e6,
    attackerConnections: connections,
  };
  return { row, moved, after };
}

/** Waits, at most five seconds, until the attacker's connections are gone. */
async function quiet(pid: number): Promise<void> {
  for (let tries = 0; tries < 50 && openFiles(pid) > 100; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What every request counts, attack or not. */
const everyday =
  /^tracecar_(spans_created|spans_exported|requests|request_duration|connections_accepted|.*bytes)|sampled="/;

/** The sidecar's other counters that moved, by their reasons. */
function difference(before: Metrics, after: Metrics): string[] {
  return [...after]
    .filter(([name, value]) => /^tracecar_\w+_total/.test(name) && value !== (before.get(name) ?? 0))
    .filter(([name]) => !everyday.test(name))
    .map(([name, value]) => `${name.replace('_total', '')} +${value - (before.get(name) ?? 0)}`);
}
