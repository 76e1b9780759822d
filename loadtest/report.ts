// One run as a table for people and as JSON for programs.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { pinned } from './children.ts';
import type { Measurement, Row } from './measure.ts';
import type { Peer } from './peers/peer.ts';
import { describeHead, type Scenario } from './scenario.ts';

/** The peers the others are compared with. */
const baselines = { splice: 'bare splice', envoy: 'Envoy OpenTelemetry' } as const;

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

export interface Report {
  readonly scenario: Scenario;
  readonly seconds: number;
  readonly measurement: Measurement;
  readonly skipped: readonly Peer[];
}

function ratio(report: Report, row: Row, baseline: string): number | undefined {
  const other = report.measurement.rows.find(({ peer }) => peer.name === baseline)?.cpuUsPerRequest;
  if (row.cpuUsPerRequest === undefined || other === undefined || other === 0) return undefined;
  return row.cpuUsPerRequest / other;
}

/** The whole run as one object; times and sizes carry their units in their names. */
export function toJson(report: Report): unknown {
  const { scenario, seconds, measurement, skipped } = report;
  const { names, bytes } = describeHead(scenario);
  return {
    scenario: scenario.name,
    tracecarVersion: version,
    nodeVersion: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    proxyAloneOnOneCore: pinned,
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
  'errors',
];

/** The whole run as text: what the load was, one line per proxy, the account of the sidecars' spans. */
export function toText(report: Report): string {
  const { scenario, seconds, measurement, skipped } = report;
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
    fixed(row.residentBytes === undefined ? undefined : row.residentBytes / 1e6, 0),
    String(row.errors),
  ]);
  return [
    `${scenario.name}: ${scenario.summary}`,
    `${scenario.connections} keep-alive connections from ${measurement.generator}; upstream: ${measurement.upstream}`,
    `headers the load carries (${names.length}, ${bytes} bytes of head): ${names.join(', ')}`,
    `${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}; ${
      pinned
        ? 'the proxy alone on core 1, everything else on core 0'
        : 'NOT pinned: taskset or a second core is missing'
    }`,
    `${measurement.rounds} rounds of ${fixed(seconds / measurement.rounds, 1)} s for each, taken in turn; medians`,
    '',
    ...table([columns, ...rows]),
    '',
    ...measurement.rows.flatMap(accountLine),
    ...skipped.map(({ name, missing }) => `left out: ${name} (${missing})`),
  ].join('\n');
}

function accountLine({ peer, account, spansReceived }: Row): string[] {
  if (spansReceived === undefined) return [];
  if (account === undefined) return [`spans of ${peer.name}: ${spansReceived} received by the sink`];
  const { created, exported, dropped, queued, received, complete } = account;
  const sum = `${created} created = ${exported} exported + ${dropped} dropped + ${queued} queued`;
  return [
    `spans of ${peer.name}: ${sum}; ${received} received by the sink: ${complete ? 'adds up' : 'DOES NOT ADD UP'}`,
  ];
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '' : value.toFixed(digits);
}

/** Two text columns flush left, the figures flush right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
