// The benchmark: Tracecar and its peers under the same load in the same run, one table. `npm run load -- --help`.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Chosen, type ChosenStudy, parseCommand } from './command.ts';
import { measure } from './measure.ts';
import { envoys } from './peers/envoy.ts';
import { haproxy } from './peers/haproxy.ts';
import { nginx } from './peers/nginx.ts';
import { direct, nodePeer, type Peer } from './peers/peer.ts';
import { tracecar } from './peers/tracecar.ts';
import { toJson, toText } from './report.ts';
import type { Scenario } from './scenario.ts';
import { createContext } from './study.ts';
import { studyToJson, studyToText } from './study-report.ts';

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

/** Exits with one line and code 2 on a flag that cannot be used. */
function readCommand(): Chosen {
  try {
    const chosen = parseCommand(process.argv.slice(2));
    if (typeof chosen !== 'string') return chosen;
    process.stdout.write(chosen);
    process.exit(0);
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

/** The scenarios that compare every peer; false when the spans of one do not add up. */
async function runComparison(scenario: Scenario, seconds: number, json: boolean): Promise<boolean> {
  const present = peers.filter(({ missing }) => missing === undefined);
  const skipped = peers.filter(({ missing }) => missing !== undefined);
  const measurement = await measure(scenario, present, seconds, folder, progress);
  progress('');
  const report = { scenario, seconds, measurement, skipped };
  process.stdout.write(json ? `${JSON.stringify(toJson(report))}\n` : `${toText(report)}\n`);
  const unaccounted = measurement.rows.filter(({ account }) => account?.complete === false);
  for (const { peer } of unaccounted) process.stderr.write(`load: the spans of ${peer.name} do not add up\n`);
  return unaccounted.length === 0;
}

/** The scenarios with figures of their own; false when something happened that must not. */
async function runStudy({ study, values, parts, json }: ChosenStudy): Promise<boolean> {
  const report = await study.run(createContext(values, parts, folder, progress));
  progress('');
  const command = ['npm run load --', ...process.argv.slice(2)].join(' ');
  const text = json ? JSON.stringify(studyToJson(study, values, command, report)) : studyToText(study, command, report);
  process.stdout.write(`${text}\n`);
  for (const fault of report.faults) process.stderr.write(`load: ${fault}\n`);
  return report.faults.length === 0;
}

const chosen = readCommand();
if (!existsSync('/proc/self/stat')) fail(1, new Error('CPU time is read from /proc, which only Linux has'));
const folder = mkdtempSync(path.join(tmpdir(), 'tracecar-load-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
// Servers started by root work as another user.
chmodSync(folder, 0o755);

const clean = await (chosen.kind === 'study'
  ? runStudy(chosen)
  : runComparison(chosen.scenario, chosen.seconds, chosen.json)
).catch((error: unknown) => fail(1, error));
process.exit(clean ? 0 : 1);
