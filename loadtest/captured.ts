// A sidecar in a pod of its own with an application behind it and a server outside: what is captured, and by which way.
import path from 'node:path';
import { awaitLine, type Child, programCommand, start, stop } from './children.ts';
import { createSurroundings, type Place, type Surroundings } from './namespaces.ts';
import { readPort, type SpanCounters } from './peers/peer.ts';
import { main, parseMetrics, spanCounters } from './peers/tracecar.ts';
import { type Account, settle } from './sink.ts';

/** How connections reach the sidecar. */
export interface Way {
  readonly name: string;
  /** Of `tracecar iptables apply`; undefined: no rules. */
  readonly rules?: readonly string[];
  readonly flags: (surroundings: Surroundings) => readonly string[];
  /** As root in the sidecar's group, with the right to take foreign addresses. */
  readonly asRoot?: boolean;
  /** What clients outside call. */
  readonly inboundPort: number;
  /** What the application calls. */
  readonly outbound: (surroundings: Surroundings) => { readonly host: string; readonly port: number };
}

const appPort = 8080;
const serverPort = 9000;
const pairPorts = { inbound: 18_080, outbound: 19_000 };
const captured: Pick<Way, 'inboundPort' | 'outbound'> = {
  inboundPort: appPort,
  outbound: ({ outside }) => ({ host: outside.address, port: serverPort }),
};

export const ways: readonly Way[] = [
  {
    name: 'pairs',
    flags: ({ pod, outside }) => [
      `--inbound=0.0.0.0:${pairPorts.inbound}=${pod.address}:${appPort}`,
      `--outbound=127.0.0.1:${pairPorts.outbound}=${outside.address}:${serverPort}`,
    ],
    inboundPort: pairPorts.inbound,
    outbound: () => ({ host: '127.0.0.1', port: pairPorts.outbound }),
  },
  { name: 'redirect', rules: [], flags: () => ['--capture=redirect'], ...captured },
  { name: 'tproxy', rules: ['-m', 'TPROXY'], flags: () => ['--capture=tproxy'], asRoot: true, ...captured },
  {
    name: 'istio',
    rules: ['--iptables', 'istio'],
    flags: () => ['--capture=redirect', '--iptables=istio'],
    ...captured,
  },
];

export interface RunningPod {
  readonly way: Way;
  readonly surroundings: Surroundings;
  /** The sidecar's process. */
  readonly pid: number;
  account(): Promise<Account | undefined>;
  stopSidecar(): Promise<void>;
  stop(): Promise<void>;
}

/** Makes the pod `number` and starts everything in it; clients and the application's own calls are the caller's. */
export async function startPod(way: Way, number: number, bodyBytes: number): Promise<RunningPod> {
  const surroundings = createSurroundings(number);
  const { pod, outside } = surroundings;
  const responder = async (place: Place, port: number) => {
    const command = [...programCommand('programs/responder.js'), String(bodyBytes), place.address, String(port)];
    const child = start(`server at ${place.address}`, 'load', [...place.enter, ...command]);
    await awaitLine(child, 'stdout', readPort);
    return child;
  };
  const servers = [await responder(pod, appPort), await responder(outside, serverPort)];
  const sink = start('sink', 'load', [...pod.enter, ...programCommand('programs/sink.js'), '1']);
  const sinkPort = await awaitLine(sink, 'stdout', (line) => (JSON.parse(line) as { ports: number[] }).ports[0]);
  if (way.rules !== undefined) await runInside(pod, [process.execPath, main, 'iptables', 'apply', ...way.rules]);
  const sidecar = await startSidecar(way, surroundings, sinkPort);
  return {
    way,
    surroundings,
    pid: sidecar.pid,
    account: async () =>
      await settle(
        { spans: async () => await readSpans(pod) },
        sinkPort,
        async (port) => (JSON.parse(await page(pod, `http://127.0.0.1:${port}/`)) as { spans: number }).spans,
      ),
    stopSidecar: async () => await stop(sidecar),
    stop: async () => {
      for (const child of [sidecar, sink, ...servers]) await stop(child);
    },
  };
}

async function startSidecar(way: Way, surroundings: Surroundings, sinkPort: number): Promise<Child> {
  const asUser = ['setpriv', '--regid=1337', '--clear-groups', ...(way.asRoot === true ? [] : ['--reuid=1337'])];
  const flags = [
    ...way.flags(surroundings),
    '--service=load',
    `--otlp-endpoint=http://127.0.0.1:${sinkPort}`,
    '--otlp-protocol=http/protobuf',
  ];
  const command = [...surroundings.pod.enter, ...asUser, process.execPath, main, 'sidecar', ...flags];
  const child = start(`sidecar (${way.name})`, 'proxy', command, { LOG_LEVEL: 'info' });
  await awaitLine(child, 'stderr', (line) => (line.includes('"msg":"listening"') ? true : undefined));
  return child;
}

async function readSpans(pod: Place): Promise<SpanCounters> {
  return spanCounters(parseMetrics(await page(pod, 'http://127.0.0.1:15000/stats/prometheus')));
}

/** A page that only the pod's own programs can reach. */
async function page(pod: Place, url: string): Promise<string> {
  const child = start('fetch', 'load', [...pod.enter, ...programCommand('programs/fetch.js'), url]);
  return await awaitLine(child, 'stdout', (line) => JSON.parse(line) as string);
}

/** Runs a command in a place to its end; throws with what it said when that was no good one. */
async function runInside({ enter }: Place, command: readonly string[]): Promise<void> {
  const child = start(command.map((word) => path.basename(word)).join(' '), 'load', [...enter, ...command]);
  let said = '';
  for (const stream of [child.process.stdout, child.process.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const code = await new Promise((resolve) => child.process.once('close', resolve));
  if (code !== 0) throw new Error(`${child.name} ended with code ${code}: ${said.trim().split('\n').at(-1)}`);
}

export interface CallTimes {
  /** Mean CPU time. */
  readonly cpuUs: number;
  /** By the clock. */
  readonly p50Us: number;
  readonly p99Us: number;
}

/**
 * What capture's own system calls take, on captured connections that come by themselves, by way.
 * @param connect makes so many connections, a request on each
 */
export async function timeCalls(
  { surroundings: { pod } }: RunningPod,
  connections: number,
  connect: (count: number) => Promise<unknown>,
): Promise<Readonly<Record<'redirect' | 'tproxy' | 'istio', CallTimes>>> {
  const args = ['15006', String(connections), path.resolve('dist')];
  const command = [...pod.enter, ...programCommand('programs/capture-calls.js'), ...args];
  const child = start('capture calls', 'proxy', command);
  const lines: string[] = [];
  const result = awaitLine(child, 'stdout', (line) => {
    lines.push(line);
    return line.includes('cpuUs') ? (JSON.parse(line) as Awaited<ReturnType<typeof timeCalls>>) : undefined;
  });
  result.catch(() => {});
  while (lines.length === 0 && child.process.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
  await connect(connections);
  const times = await result;
  await stop(child);
  return times;
}
