// The benchmark: Tracecar and its peers under the same load in the same run, one table. `npm run load -- --help`.
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Chosen, type ChosenComparison, type ChosenStudy, parseCommand } from './command.ts';
import { measure } from './measure.ts';
import { peers } from './peers/all.ts';
import { toJson, toText } from './report.ts';
import { createContext } from './study.ts';
import { studyToJson, studyToText } from './study-report.ts';

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

const quoted = process.argv.slice(2).map((arg) => (/\s/.test(arg) ? `'${arg}'` : arg));
const command = ['npm run load --', ...quoted].join(' ');

/** The scenarios that compare every peer; false when the spans of one do not add up. */
async function runComparison({ scenario, seconds, parts, json }: ChosenComparison): Promise<boolean> {
  const wanted = peers.filter(({ name }) => parts.includes(name));
  const present = wanted.filter(({ missing }) => missing === undefined);
  const skipped = wanted.filter(({ missing }) => missing !== undefined);
  const measurement = await measure(scenario, present, seconds, folder, progress);
  progress('');
  const report = { scenario, command, seconds, measurement, skipped };
  process.stdout.write(json ? `${JSON.stringify(toJson(report))}\n` : `${toText(report)}\n`);
  const unaccounted = measurement.rows.filter(({ account }) => account?.complete === false);
  for (const { peer } of unaccounted) process.stderr.write(`load: the spans of ${peer.name} do not add up\n`);
  return unaccounted.length === 0;
}

/** The scenarios with figures of their own; false when something happened that must not. */
async function runStudy({ study, values, parts, json }: ChosenStudy): Promise<boolean> {
  const report = await study.run(createContext(values, parts, folder, progress));
  progress('');
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

const clean = await (chosen.kind === 'study' ? runStudy(chosen) : runComparison(chosen)).catch((error: unknown) =>
  fail(1, error),
);
process.exit(clean ? 0 : 1);
