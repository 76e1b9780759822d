// One run as a table for people and as JSON for programs.
import { atMost, type Bar, barText } from './bars.ts';
import { machine, machineLines } from './machine.ts';
import type { Measurement, Row } from './measure.ts';
import type { Peer } from './peers/peer.ts';
import { describeHead, type Scenario } from './scenario.ts';
import { accountText } from './sink.ts';
import { fixed, layOut } from './table.ts';

/** The peers the others are compared with. */
const baselines = { splice: 'bare splice', envoy: 'Envoy OpenTelemetry', envoyUntraced: 'Envoy' } as const;

export interface Report {
  readonly scenario: Scenario;
  readonly command: string;
  readonly seconds: number;
  readonly measurement: Measurement;
  readonly skipped: readonly Peer[];
}

/** The most CPU a request may take, as a share of each peer's, by scenario. */
const limits: Readonly<Record<string, { full: number; onePercent: number; envoy?: number; envoyUntraced?: number }>> = {
  h1: { full: 1.4, onePercent: 1.2 },
  'h1-real': { full: 1.7, onePercent: 1.2, envoy: 0.42, envoyUntraced: 0.7 },
};

function bars(report: Report): Bar[] {
  const limit = limits[report.scenario.name];
  if (limit === undefined) return [];
  const of = (name: string, baseline: string, most: number | undefined): Bar[] => {
    const row = report.measurement.rows.find(({ peer }) => peer.name === name);
    const value = row === undefined ? undefined : ratio(report, row, baseline);
    return atMost(`CPU of ${name} to ${baseline}`, value, most);
  };
  return [
    ...of('Tracecar 100 %', baselines.splice, limit.full),
    ...of('Tracecar 100 %', baselines.envoy, limit.envoy),
    ...of('Tracecar 100 %', baselines.envoyUntraced, limit.envoyUntraced),
    ...of('Tracecar 1 %', baselines.splice, limit.onePercent),
  ];
}

function ratio(report: Report, row: Row, baseline: string): number | undefined {
  const other = report.measurement.rows.find(({ peer }) => peer.name === baseline)?.cpuUsPerRequest;
  if (row.cpuUsPerRequest === undefined || other === undefined || other === 0) return undefined;
  return row.cpuUsPerRequest / other;
}

/** The whole run as one object; times and sizes carry their units in their names. */
export function toJson(report: Report): unknown {
  const { scenario, command, seconds, measurement, skipped } = report;
  const { names, bytes } = describeHead(scenario);
  return {
    scenario: scenario.name,
    command,
    ...machine(),
    generator: measurement.generator,
    upstream: measurement.upstream,
    secondsPerPeer: seconds,
    rounds: measurement.rounds,
    load: {
      method: scenario.method,
      connections: scenario.connections,
      headers: names,
      headBytes: bytes,
      requestBodyBytes: scenario.requestBody.length,
      responseBodyBytes: scenario.responseBody.length,
    },
    peers: measurement.rows.map((row) => {
      const { peer, account, ...figures } = row;
      return {
        name: peer.name,
        tracing: peer.tracing,
        ...figures,
        cpuToSplice: ratio(report, row, baselines.splice),
        cpuToEnvoyOpenTelemetry: ratio(report, row, baselines.envoy),
        spans: account,
      };
    }),
    bars: bars(report),
    skipped: skipped.map(({ name, missing }) => ({ name, why: missing })),
  };
}

const columns = [
  '',
  'tracing',
  'CPU µs/req',
  '× splice',
  '× Envoy OTel',
  'req/s',
  'p50 ms',
  'p99 ms',
  'RSS MB',
  'worker MB',
  'errors',
];

/** The whole run as text: what the load was, one line per proxy, the account of the sidecars' spans. */
export function toText(report: Report): string {
  const { scenario, command, seconds, measurement, skipped } = report;
  const { names, bytes } = describeHead(scenario);
  const rows = measurement.rows.map((row) => [
    row.peer.name,
    row.peer.tracing,
    fixed(row.cpuUsPerRequest, 1),
    fixed(ratio(report, row, baselines.splice), 2),
    fixed(ratio(report, row, baselines.envoy), 2),
    fixed(row.requestsPerSecond, 0),
    fixed(row.p50Ms, 2),
    fixed(row.p99Ms, 2),
    fixed(megabytes(row.residentBytes), 0),
    fixed(megabytes(row.workerBytes), 0),
    String(row.errors),
  ]);
  return [
    `${scenario.name}: ${scenario.summary}`,
    `command: ${command}`,
    `${scenario.connections} keep-alive connections from ${measurement.generator}; upstream: ${measurement.upstream}`,
    `headers the load carries (${names.length}, ${bytes} bytes of head): ${names.join(', ')}`,
    ...machineLines(),
    `${measurement.rounds} rounds of ${fixed(seconds / measurement.rounds, 1)} s for each, taken in turn; medians`,
    '',
    ...layOut([columns, ...rows], 2),
    '',
    ...bars(report).map(barText),
    ...measurement.rows.flatMap(accountLine),
    ...skipped.map(({ name, missing }) => `left out: ${name} (${missing})`),
  ].join('\n');
}

function megabytes(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : bytes / 1e6;
}

function accountLine({ peer, account, spansReceived }: Row): string[] {
  if (spansReceived === undefined) return [];
  if (account === undefined) return [`spans of ${peer.name}: ${spansReceived} received by the sink`];
  return [accountText(peer.name, account)];
}
