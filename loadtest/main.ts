// The benchmark: Tracecar and its peers under the same load in the same run, one table. `npm run load -- --help`.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { measure } from './measure.ts';
import { envoys } from './peers/envoy.ts';
import { haproxy } from './peers/haproxy.ts';
import { nginx } from './peers/nginx.ts';
import { direct, nodePeer, type Peer } from './peers/peer.ts';
import { tracecar } from './peers/tracecar.ts';
import { toJson, toText } from './report.ts';
import { type Scenario, scenarios } from './scenario.ts';

const usage = `Usage: npm run load -- [--scenario ${scenarios.map(({ name }) => name).join('|')}] [--seconds N] [--json]

CPU per request of the Tracecar sidecar and its peers, the proxy alone on one core.

  --scenario NAME  ${scenarios.map(({ name, summary }) => `${name}: ${summary}`).join('\n                   ')}
  --seconds N      measured seconds for each proxy, split over five rounds (default 10)
  --json           one line of JSON instead of the table
`;

const peers: readonly Peer[] = [
  direct,
  nodePeer('bare splice', 'programs/splice.js'),
  tracecar(100),
  tracecar(1),
  nodePeer('http-proxy', 'programs/http-proxy.js'),
  nginx,
  haproxy,
  ...envoys,
];

interface Options {
  readonly scenario: Scenario;
  readonly seconds: number;
  readonly json: boolean;
}

/** Exits with one line and code 2 on a flag that cannot be used. */
function readOptions(): Options {
  try {
    const { values } = parseArgs({
      options: {
        scenario: { type: 'string', default: 'h1' },
        seconds: { type: 'string', default: '10' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      process.exit(0);
    }
    const scenario = scenarios.find(({ name }) => name === values.scenario);
    const known = scenarios.map(({ name }) => name).join(', ');
    if (scenario === undefined) throw new Error(`unknown scenario "${values.scenario}"; the scenarios are ${known}`);
    const seconds = Number(values.seconds);
    if (!(seconds >= 5 && seconds <= 600)) throw new Error(`--seconds "${values.seconds}": a number from 5 to 600`);
    return { scenario, seconds, json: values.json };
  } catch (error) {
    fail(2, error);
  }
}

function fail(code: number, error: unknown): never {
  process.stderr.write(`load: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}\n`);
  process.exit(code);
}

function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${what}`);
}

const { scenario, seconds, json } = readOptions();
if (!existsSync('/proc/self/stat')) fail(1, new Error('CPU time is read from /proc, which only Linux has'));
const folder = mkdtempSync(path.join(tmpdir(), 'tracecar-load-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const present = peers.filter(({ missing }) => missing === undefined);
const skipped = peers.filter(({ missing }) => missing !== undefined);
const measurement = await measure(scenario, present, seconds, folder, progress).catch((error: unknown) =>
  fail(1, error),
);
progress('');
const report = { scenario, seconds, measurement, skipped };
process.stdout.write(json ? `${JSON.stringify(toJson(report))}\n` : `${toText(report)}\n`);

const unaccounted = measurement.rows.filter(({ account }) => account?.complete === false);
for (const { peer } of unaccounted) process.stderr.write(`load: the spans of ${peer.name} do not add up\n`);
process.exit(unaccounted.length > 0 ? 1 : 0);
