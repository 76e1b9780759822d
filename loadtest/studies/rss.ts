// Memory after many requests and after as many again: what a sidecar that stays for a year needs.
import { atMost } from '../bars.ts';
import { type Contender, headersLine, plainRequest, startBench } from '../bench.ts';
import { createOpenLoop, type OpenLoop, steadyLoad } from '../open-loop.ts';
import { splice, tracecarFull } from '../peers/all.ts';
import { treeUsage, type Usage } from '../proc.ts';
import type { Column, Study, StudyContext } from '../study.ts';

const columns: readonly Column[] = [
  { key: 'peer', title: '' },
  { key: 'requests', title: 'requests', digits: 0 },
  { key: 'failed', title: 'failed', digits: 0 },
  { key: 'cpuUsPerRequest', title: 'CPU µs/req', digits: 1 },
  { key: 'rssMb', title: 'RSS MB', digits: 1 },
  { key: 'workerMb', title: 'worker MB', digits: 1 },
  { key: 'grownMb', title: 'grown by MB', digits: 1 },
];

/** What one peer did in one half of the run. */
interface Part {
  readonly part: number;
  readonly name: string;
  readonly sent: number;
  readonly failed: number;
  readonly cpuUs: number;
  readonly usage: Usage;
}

export const rss: Study = {
  name: 'rss',
  summary: 'memory after N small GETs, and after the next N',
  flags: {
    requests: { fallback: [50_000], min: 100, max: 100_000_000, meaning: 'N, for each peer (long run: 1000000)' },
    connections: { fallback: [32], min: 1, max: 1000, meaning: 'keep-alive connections' },
  },
  run: async (context) => {
    const bench = await startBench([splice, tracecarFull], context.folder);
    const generator = createOpenLoop(context.folder);
    const parts: Part[] = [];
    for (const part of [1, 2]) {
      for (const contender of bench.contenders) {
        context.progress(`${contender.peer.name}, part ${part} of 2`);
        parts.push(await onePart(context, contender, generator, part));
      }
    }
    const { notes, faults } = await bench.accounts();
    await bench.stop();
    const at = (name: string, part: number) => parts.find((one) => one.name === name && one.part === part)?.usage;
    const grownMb = (name: string) => megabytes(at(name, 2)) - megabytes(at(name, 1));
    return {
      load: [
        `${context.value('connections')} keep-alive connections, each as fast as it is answered, from ${generator.name}; upstream: ${bench.upstream}`,
        headersLine(),
      ],
      columns,
      rows: parts.map(({ part, name, usage, sent, failed, cpuUs }) => ({
        peer: name,
        requests: part * context.value('requests'),
        failed,
        cpuUsPerRequest: cpuUs / sent,
        rssMb: megabytes(usage),
        workerMb: usage.worker.residentBytes / 1e6,
        grownMb: part === 2 ? grownMb(name) : undefined,
      })),
      bars: [
        ...atMost('RSS of Tracecar after the first N, MB', megabytes(at(tracecarFull.name, 1)), 95),
        ...atMost('RSS of Tracecar grown by the next N, MB', grownMb(tracecarFull.name), 1),
      ],
      notes,
      faults: [
        ...faults,
        ...parts.filter(({ failed }) => failed > 0).map(({ name, failed }) => `${name}: ${failed} requests failed`),
      ],
    };
  },
};

function megabytes(usage: Usage | undefined): number {
  return (usage?.residentBytes ?? Number.NaN) / 1e6;
}

async function onePart(
  context: StudyContext,
  { peer, running }: Contender,
  generator: OpenLoop,
  part: number,
): Promise<Part> {
  const pid = running.pid ?? 0;
  const before = treeUsage(pid).cpuUs;
  const { sent, failed } = await generator.run({
    ...steadyLoad,
    port: running.port,
    connections: context.value('connections'),
    rate: 0,
    seconds: 0,
    warmUp: 0,
    total: context.value('requests'),
    requests: [plainRequest()],
  });
  const usage = treeUsage(pid);
  return { part, name: peer.name, sent, failed, usage, cpuUs: usage.cpuUs - before };
}
