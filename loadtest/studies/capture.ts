// Captured connections at a constant rate while the application opens its own: nothing may fail on either side, and what
// capture costs shows beside listen/target pairs that do the same work without it.
import { atMost } from '../bars.ts';
import { headersLine, plainScenario } from '../bench.ts';
import { type CallTimes, type RunningPod, startPod, timeCalls, ways } from '../captured.ts';
import { kernelValue, namespacesMissing } from '../namespaces.ts';
import { createOpenLoop, type OpenLoad, type OpenLoadResult } from '../open-loop.ts';
import { treeUsage } from '../proc.ts';
import { encodeRequest } from '../scenario.ts';
import { accountText } from '../sink.ts';
import type { Column, Row, Study, StudyContext } from '../study.ts';

const outboundRate = 200;
const warmUpSeconds = 1;
const timedConnections = 4000;
/** What the kernel may take for a connection's original destination, asked by koffi. */
const maxCallUs = 20;

const columns: readonly Column[] = [
  { key: 'way', title: '' },
  { key: 'inbound', title: 'inbound', digits: 0 },
  { key: 'inboundFailed', title: 'failed', digits: 0 },
  { key: 'inboundP50Ms', title: 'p50 ms', digits: 2 },
  { key: 'inboundP99Ms', title: 'p99 ms', digits: 2 },
  { key: 'outbound', title: 'outbound', digits: 0 },
  { key: 'outboundFailed', title: 'failed', digits: 0 },
  { key: 'outboundP50Ms', title: 'p50 ms', digits: 2 },
  { key: 'outboundP99Ms', title: 'p99 ms', digits: 2 },
  { key: 'cpuUsPerConnection', title: 'CPU µs/connection', digits: 1 },
  { key: 'callsUs', title: 'of it calls by koffi', digits: 1 },
  { key: 'conntrack', title: 'conntrack entries', digits: 0 },
];

interface Outcome {
  readonly inbound: OpenLoadResult;
  readonly outbound: OpenLoadResult;
  readonly cpuUs: number;
}

export const capture: Study = {
  name: 'capture',
  summary: 'connections captured by iptables in namespaces of its own, while the application opens others',
  parts: ways.map(({ name }) => name),
  usualParts: ['pairs', 'redirect'],
  flags: {
    seconds: { fallback: [6], min: 0.5, max: 3600, meaning: 'seconds for each way, without a break (long run: 60)' },
    rate: {
      fallback: [2000],
      min: 1,
      max: 20_000,
      meaning: `inbound connections per second, beside ${outboundRate} out`,
    },
    connections: { fallback: [1000], min: 1, max: 5000, meaning: 'most inbound connections open at a time' },
  },
  run: async (context) => {
    const missing = namespacesMissing();
    if (missing !== undefined) throw new Error(missing);
    const chosen = ways.filter(({ name }) => context.parts.includes(name));
    const rows: Row[] = [];
    const notes: string[] = [];
    const faults: string[] = [];
    let calls: Readonly<Record<string, CallTimes>> = {};
    for (const [index, way] of chosen.entries()) {
      context.progress(way.name);
      const pod = await startPod(way, index + 1, plainScenario().responseBody.length);
      await load(context, pod, warmUpSeconds);
      const outcome = await load(context, pod, context.value('seconds'));
      const account = await pod.account();
      if (account === undefined || !account.complete) faults.push(`${way.name}: its spans do not add up`);
      if (account !== undefined) notes.push(accountText(way.name, account));
      if (index === 0) notes.push(limitsText(pod));
      rows.push(row(pod, outcome));
      faults.push(...failures(way.name, outcome));
      await pod.stopSidecar();
      if (way.name === 'redirect') calls = await measureCalls(context, pod);
      await pod.stop();
    }
    return {
      load: [
        `${context.value('rate')} connections a second from outside, ${outboundRate} of the application's own, a GET on each from ${generatorName(context)}, at the same time`,
        `${headersLine()}; connection: close beside them`,
        `${context.value('seconds')} s for each way after ${warmUpSeconds} s uncounted; pairs: the same sidecar with --inbound and --outbound, no rules`,
      ],
      columns,
      rows: rows.map((one) => ({ ...one, callsUs: calls[String(one.way)]?.cpuUs })),
      bars: Object.entries(calls).flatMap(([way, { cpuUs }]) =>
        atMost(`CPU µs of the calls by koffi for a captured connection, ${way}`, cpuUs, maxCallUs),
      ),
      notes: [...notes, ...Object.entries(calls).map(callsText), ...costNotes(rows)],
      faults,
    };
  },
};

async function load(context: StudyContext, { pid, way, surroundings }: RunningPod, seconds: number): Promise<Outcome> {
  const closing = { ...plainScenario(), headers: () => [{ name: 'connection', value: 'close' }] };
  const common: Omit<OpenLoad, 'port' | 'rate'> = {
    connections: context.value('connections'),
    seconds,
    warmUp: 0,
    total: 0,
    close: true,
    sources: 1,
    requests: [encodeRequest(closing, '127.0.0.1')],
  };
  const { pod, outside } = surroundings;
  const into = { ...common, host: pod.address, port: way.inboundPort, rate: context.value('rate') };
  const out = { ...common, ...way.outbound(surroundings), rate: outboundRate };
  const before = treeUsage(pid).cpuUs;
  const [inbound, outbound] = await Promise.all([
    createOpenLoop(context.folder, outside.enter).run(into),
    createOpenLoop(context.folder, pod.enter).run(out),
  ]);
  return { inbound, outbound, cpuUs: treeUsage(pid).cpuUs - before };
}

/** The pod's rules are still there; its sidecar is not. */
async function measureCalls(context: StudyContext, pod: RunningPod) {
  context.progress('system calls');
  const { address } = pod.surroundings.pod;
  const generator = createOpenLoop(context.folder, pod.surroundings.outside.enter);
  return await timeCalls(pod, timedConnections, (total) =>
    generator.run({
      host: address,
      port: pod.way.inboundPort,
      connections: 100,
      rate: 1000,
      seconds: 0,
      warmUp: 0,
      total,
      close: true,
      sources: 1,
      requests: ['GET / HTTP/1.1\r\nhost: load\r\n\r\n'],
    }),
  );
}

function row({ way, surroundings }: RunningPod, { inbound, outbound, cpuUs }: Outcome): Row {
  const count = ({ sent, errors }: OpenLoadResult) => sent + (errors.connect ?? 0);
  return {
    way: way.name,
    inbound: count(inbound),
    inboundFailed: inbound.failed,
    inboundP50Ms: inbound.latency.percentileMs(50),
    inboundP99Ms: inbound.latency.percentileMs(99),
    outbound: count(outbound),
    outboundFailed: outbound.failed,
    outboundP50Ms: outbound.latency.percentileMs(50),
    outboundP99Ms: outbound.latency.percentileMs(99),
    cpuUsPerConnection: cpuUs / (count(inbound) + count(outbound)),
    conntrack: Number(kernelValue(surroundings.pod, 'net.netfilter.nf_conntrack_count')) || undefined,
  };
}

function failures(name: string, { inbound, outbound }: Outcome): string[] {
  return Object.entries({ inbound, outbound })
    .filter(([, { failed }]) => failed > 0)
    .map(([direction, { errors }]) => `${name}: ${direction} connections failed: ${JSON.stringify(errors)}`);
}

/** The limits that capture can run into, as Linux has set them. */
function limitsText({ surroundings: { pod } }: RunningPod): string {
  const names = [
    'net.ipv4.ip_local_port_range',
    'net.netfilter.nf_conntrack_max',
    'net.netfilter.nf_conntrack_tcp_timeout_time_wait',
  ];
  return `limits of each namespace, untouched: ${names.map((name) => `${name} ${kernelValue(pod, name) || '-'}`).join(', ')}`;
}

function callsText([way, { cpuUs, p50Us, p99Us }]: readonly [string, CallTimes]): string {
  const what = {
    redirect: 'the original destination of a connection (SO_ORIGINAL_DST)',
    tproxy: "beside it for tproxy, a socket with the client's address",
    istio: "beside it for Istio's chains, a socket with 127.0.0.6",
  }[way];
  const figures = `${cpuUs.toFixed(1)} µs of CPU; by the clock p50 ${p50Us.toFixed(1)}, p99 ${p99Us.toFixed(1)}`;
  return `${what}, by koffi: ${figures}, over ${timedConnections / 2} connections`;
}

/** What capture adds to a connection, beside the pairs of the same run. */
function costNotes(rows: readonly Row[]): string[] {
  const cpu = ({ cpuUsPerConnection }: Row) => Number(cpuUsPerConnection);
  const pairs = rows.find(({ way }) => way === 'pairs');
  if (pairs === undefined) return [];
  return rows
    .filter((one) => one !== pairs)
    .map((one) => `${one.way}: ${(cpu(one) - cpu(pairs)).toFixed(1)} µs of the sidecar's CPU a connection over pairs`);
}

function generatorName(context: StudyContext): string {
  return createOpenLoop(context.folder).name;
}
