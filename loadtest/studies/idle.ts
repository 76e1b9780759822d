// What a connection costs that does nothing: after one request, before the first, and a crowd of silent ones in turn.
import { atMost } from '../bars.ts';
import { type Contender, headersLine, startBench } from '../bench.ts';
import { jsonLines, startProgram, stop } from '../children.ts';
import { splice, tracecarFull } from '../peers/all.ts';
import { atRest, maxOpenFiles, openFiles, treeUsage } from '../proc.ts';
import type { Column, Row, Study, StudyContext } from '../study.ts';

/** What a proxy has open besides its connections. */
const otherFiles = 200;

const columns: readonly Column[] = [
  { key: 'peer', title: '' },
  { key: 'connectionsThat', title: 'connections that' },
  { key: 'connections', title: 'connections', digits: 0 },
  { key: 'rssBeforeMb', title: 'RSS MB before', digits: 1 },
  { key: 'rssMb', title: 'with them', digits: 1 },
  { key: 'workerMb', title: 'worker', digits: 1 },
  { key: 'kbPerConnection', title: 'KB each', digits: 2 },
  { key: 'cpuUsPerConnection', title: 'CPU µs each', digits: 0 },
  { key: 'answered', title: 'answer after', digits: 0 },
  { key: 'rssGoneMb', title: 'RSS MB when gone', digits: 1 },
  { key: 'failed', title: 'failed', digits: 0 },
];

export const idle: Study = {
  name: 'idle',
  summary: 'memory of connections that do nothing',
  flags: {
    connections: { fallback: [10_000], min: 10, max: 100_000, meaning: 'held open at the same time' },
    requests: {
      fallback: [50_000],
      min: 10,
      max: 10_000_000,
      meaning: 'connections that send nothing, in turn (long run: 1000000)',
    },
  },
  run: async (context) => {
    const wanted = context.value('connections');
    const count = Math.min(wanted, Math.floor((maxOpenFiles() - otherFiles) / 2));
    const rows: Row[] = [];
    const notes: string[] = [];
    const faults: string[] = [];
    let upstream = '';
    // Each row has a process of its own: memory that one crowd left behind is not the next one's.
    for (const kind of ['request', 'silent', 'in turn'] as const) {
      const bench = await startBench([splice, tracecarFull], context.folder);
      upstream = bench.upstream;
      for (const contender of bench.contenders) {
        context.progress(`${contender.peer.name}: ${kind}`);
        rows.push(kind === 'in turn' ? await inTurn(context, contender) : await held(contender, kind, count));
      }
      if (kind === 'request') {
        const accounts = await bench.accounts();
        notes.push(...accounts.notes);
        faults.push(...accounts.faults);
      }
      await bench.stop();
    }
    if (count < wanted) {
      notes.push(
        `${count} connections instead of ${wanted}: a process may open ${maxOpenFiles()} files here, two for each`,
      );
    }
    const cost = (what: string): number =>
      10 * Number(rows.find((row) => row.peer === tracecarFull.name && row.connectionsThat === what)?.kbPerConnection);
    return {
      load: [`connections from 8 source addresses; upstream: ${upstream}`, headersLine()],
      columns,
      rows,
      bars: [
        ...atMost('cost of 10,000 connections that had one request, MB', cost(names.request), 110),
        ...atMost('cost of 10,000 connections that sent nothing, MB', cost(names.silent), 110),
      ],
      notes,
      faults: [
        ...faults,
        ...rows
          .filter(({ failed }) => Number(failed) > 0)
          .map(({ peer, connectionsThat, failed }) => `${peer}, ${connectionsThat}: ${failed} failed`),
      ],
    };
  },
};

const names = { request: 'had one request', silent: 'sent nothing', 'in turn': 'send nothing, in turn' } as const;

interface Printed {
  readonly open?: number;
  readonly opened?: number;
  readonly answered?: number;
  readonly failed?: number;
}

async function held({ peer, running }: Contender, kind: 'request' | 'silent', count: number): Promise<Row> {
  const pid = running.pid ?? 0;
  await warmUp(running.port);
  const before = treeUsage(pid);
  const client = startProgram(
    'idle client',
    'load',
    'programs/idle-client.js',
    String(running.port),
    String(count),
    kind,
  );
  const next = jsonLines<Printed>(client);
  const { open = 0, failed = 0 } = await next();
  await until(() => openFiles(treeUsage(pid).worker.pid) >= 2 * open);
  await atRest(pid);
  const during = treeUsage(pid);
  client.process.kill('SIGUSR2');
  const asked = await next();
  await stop(client);
  await until(() => openFiles(during.worker.pid) < otherFiles);
  await atRest(pid);
  const after = treeUsage(pid);
  return {
    peer: peer.name,
    connectionsThat: names[kind],
    connections: open,
    rssBeforeMb: before.residentBytes / 1e6,
    rssMb: during.residentBytes / 1e6,
    workerMb: during.worker.residentBytes / 1e6,
    kbPerConnection: (during.residentBytes - before.residentBytes) / 1e3 / open,
    cpuUsPerConnection: (during.cpuUs - before.cpuUs) / open,
    answered: asked.answered,
    rssGoneMb: after.residentBytes / 1e6,
    failed: failed + (asked.failed ?? 0),
  };
}

async function inTurn(context: StudyContext, { peer, running }: Contender): Promise<Row> {
  const pid = running.pid ?? 0;
  await warmUp(running.port);
  const before = treeUsage(pid);
  const count = context.value('requests');
  const client = startProgram(
    'silent client',
    'load',
    'programs/silent-client.js',
    String(running.port),
    String(count),
  );
  const { opened = 0, failed = 0 } = await jsonLines<Printed>(client)();
  await atRest(pid);
  const after = treeUsage(pid);
  return {
    peer: peer.name,
    connectionsThat: names['in turn'],
    connections: opened,
    rssBeforeMb: before.residentBytes / 1e6,
    workerMb: after.worker.residentBytes / 1e6,
    cpuUsPerConnection: (after.cpuUs - before.cpuUs) / opened,
    rssGoneMb: after.residentBytes / 1e6,
    failed,
  };
}

/** Loads what a proxy loads with its first requests. */
async function warmUp(port: number): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    await response.arrayBuffer();
  }
}

/** Waits, at most twenty seconds. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !condition(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
