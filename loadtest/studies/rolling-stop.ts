// Replicas stopped and started again one after the other under load: no request may fail and no span may be lost.
import { once } from 'node:events';
import { awaitLine, type Child, freePort, jsonLines, startProgram, stop } from '../children.ts';
import { readPort } from '../peers/peer.ts';
import { type RunningSidecar, startSidecar } from '../peers/tracecar.ts';
import { receivedBy, startSink } from '../sink.ts';
import type { Column, Row, Study, StudyContext } from '../study.ts';

const betweenMs = 500;
/** Longer than the sidecar's own drain time-out. */
const exitTimeoutMs = 40_000;

const columns: readonly Column[] = [
  { key: 'stopped', title: 'stopped' },
  { key: 'exits', title: 'exit codes' },
  { key: 'sidecarGoneMs', title: 'sidecar gone after ms', digits: 0 },
  { key: 'backMs', title: 'ready again after ms', digits: 0 },
  { key: 'requests', title: 'requests', digits: 0 },
  { key: 'failed', title: 'failed', digits: 0 },
  { key: 'retried', title: 'refused, sent elsewhere', digits: 0 },
];

interface Replica {
  readonly name: string;
  readonly appPort: number;
  readonly port: number;
  readonly adminPort: number;
  readonly sinkPort: number;
  app: Child;
  sidecar: RunningSidecar;
}

interface Counters {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  readonly retried: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export const rollingStop: Study = {
  name: 'rolling-stop',
  summary: 'two replicas stopped in turns, SIGTERM to sidecar and application together, under constant load',
  flags: {
    rate: { fallback: [500], min: 1, max: 5000, meaning: 'requests per second' },
    rounds: { fallback: [4], min: 1, max: 1000, meaning: 'stops and starts, in turns' },
  },
  run: async (context) => {
    const sink = await startSink(2);
    const replicas = [await createReplica('A', sink.ports[0] ?? 0), await createReplica('B', sink.ports[1] ?? 0)];
    const places = replicas.map(({ port, adminPort }) => `${port}:${adminPort}`);
    const rate = String(context.value('rate'));
    const client = startProgram('client', 'load', 'programs/balanced-client.js', rate, ...places);
    const next = jsonLines<Counters>(client);
    const rows: Row[] = [];
    let before: Counters | undefined;
    for (let round = 0; round < context.value('rounds'); round++) {
      const replica = replicas[round % replicas.length] as Replica;
      context.progress(`round ${round + 1} of ${context.value('rounds')}: ${replica.name}`);
      await pause(betweenMs);
      const stopped = await restart(replica);
      await pause(betweenMs);
      client.process.kill('SIGUSR2');
      const after = await next();
      rows.push({ ...stopped, ...difference(after, before) });
      before = after;
    }
    client.process.kill('SIGTERM');
    const total = await next();
    for (const { sidecar, app } of replicas) await Promise.all([sidecar.stop(), stop(app)]);
    const spans = (await Promise.all(replicas.map(({ sinkPort }) => receivedBy(sinkPort)))).reduce((a, b) => a + b, 0);
    await sink.stop();
    return report(context, rows, total, spans);
  },
};

async function createReplica(name: string, sinkPort: number): Promise<Replica> {
  const appPort = await freePort();
  const place = { appPort, port: await freePort(), adminPort: await freePort(), sinkPort };
  return { name, ...place, ...(await startBoth(name, place)) };
}

/** The application first: the sidecar is ready when it listens, whatever is behind it. */
async function startBoth(name: string, place: Omit<Replica, 'name' | 'app' | 'sidecar'>) {
  const app = startProgram(`application ${name}`, 'load', 'programs/replica.js', String(place.appPort));
  await awaitLine(app, 'stdout', readPort);
  const sidecar = await startSidecar(`sidecar ${name}`, {
    targetPorts: [place.appPort],
    sinkPort: place.sinkPort,
    listenPort: place.port,
    adminPort: place.adminPort,
  });
  return { app, sidecar };
}

async function restart(replica: Replica): Promise<Row> {
  const startedMs = performance.now();
  const { app, sidecar } = replica;
  let sidecarGoneMs = 0;
  const gone = Promise.all([
    ended(app),
    ended(sidecar.child).then((code) => {
      sidecarGoneMs = performance.now() - startedMs;
      return code;
    }),
  ]);
  sidecar.child.process.kill('SIGTERM');
  app.process.kill('SIGTERM');
  const [appCode, sidecarCode] = await gone;
  const goneMs = performance.now();
  Object.assign(replica, await startBoth(replica.name, replica));
  return {
    stopped: `replica ${replica.name}`,
    exits: `sidecar ${sidecarCode}, application ${appCode}`,
    sidecarGoneMs,
    backMs: performance.now() - goneMs,
  };
}

/** The exit code, or the signal that had to be used. */
async function ended(child: Child): Promise<string> {
  const timer = setTimeout(() => child.process.kill('SIGKILL'), exitTimeoutMs);
  const [code, signal] = (await once(child.process, 'exit')) as [number | null, string | null];
  clearTimeout(timer);
  return String(code ?? signal);
}

function difference(after: Counters, before: Counters | undefined): Row {
  return {
    requests: after.sent - (before?.sent ?? 0),
    failed: after.failed - (before?.failed ?? 0),
    retried: after.retried - (before?.retried ?? 0),
  };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

function report(context: StudyContext, rows: readonly Row[], total: Counters, spans: number) {
  const { sent, answered, failed, reasons, p50Ms, p99Ms, maxMs } = total;
  const badExits = rows.filter(({ exits }) => exits !== 'sidecar 0, application 0');
  return {
    load: [
      `${context.value('rate')} GETs a second on a schedule, keep-alive, by a client on node:http that polls /ready every 20 ms; host and connection are the headers`,
      'each replica: an application on node:http that on SIGTERM answers with Connection: close, stops accepting after 2 s and ends with its last connection, and its sidecar',
    ],
    columns,
    rows,
    bars: [],
    notes: [
      `${sent} requests, ${answered} answered, ${failed} failed; ${spans} spans received by the sink; p50 ${p50Ms} ms, p99 ${p99Ms} ms, max ${maxMs} ms`,
    ],
    faults: [
      ...(failed > 0 ? [`${failed} of ${sent} requests failed: ${JSON.stringify(reasons)}`] : []),
      ...(spans === answered ? [] : [`${answered} requests were answered, ${spans} spans came in`]),
      ...badExits.map(({ stopped, exits }) => `${stopped} did not end well: ${exits}`),
    ],
  };
}
