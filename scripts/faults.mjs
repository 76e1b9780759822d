// Breaks the sources in twelve places, one at a time, in a copy of the checkout, and requires that a test fails each time.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { faults } from './fault-list.mjs';

const root = path.dirname(import.meta.dirname);
const notCopied = new Set(['.git', '.cache', 'dist', 'node_modules']);
/** A file that takes longer hangs, which the runner counts as a failure. */
const testTimeoutMs = 60_000;
const timeoutMs = 300_000;
/** Process groups of runs under way. */
const groups = new Set();

/** The source with the fault in it; throws when the text to replace is not there exactly once. */
function applyFault({ name, file, before, after }) {
  const text = readFileSync(path.join(root, file), 'utf8');
  const found = text.split(before).length - 1;
  if (found !== 1) throw new Error(`"${name}": ${file} has its text ${found} times instead of once: ${before}`);
  return text.replace(before, () => after);
}

function makeCopy() {
  const copy = mkdtempSync(path.join(tmpdir(), 'tracecar-faults-'));
  for (const name of readdirSync(root).filter((entry) => !notCopied.has(entry)))
    cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  return copy;
}

function endGroup(group) {
  groups.delete(group);
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // All of it has ended already.
  }
}

/**
 * Runs test files in the copy; `ran` and `failed` are the runner's own totals. Ends with all processes of the run, for
 * a test that was timed out has not ended what it started.
 */
async function runTests(copy, tests) {
  const env = { ...process.env, NO_COLOR: '1' };
  const args = [path.join('scripts', 'test.mjs'), `--test-timeout=${testTimeoutMs}`, ...tests];
  const runner = spawn(process.execPath, args, {
    cwd: copy,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  groups.add(runner.pid);
  const timer = setTimeout(() => endGroup(runner.pid), timeoutMs);
  runner.once('exit', () => endGroup(runner.pid));
  let output = '';
  for await (const chunk of runner.stdout) output += chunk;
  clearTimeout(timer);
  const total = (word) => Number(new RegExp(`^[^a-z]*${word} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);
  const failures = [...output.matchAll(/^\s*✖ (.+?) \([\d.]+ms\)$/gm)].map(([, name]) => name);
  return { ran: total('tests'), failed: total('fail'), first: failures[0] ?? '' };
}

async function main() {
  const broken = faults.map(applyFault);
  const copy = makeCopy();
  process.once('exit', () => {
    for (const group of groups) endGroup(group);
    rmSync(copy, { recursive: true, force: true });
  });
  const sound = await runTests(copy, [...new Set(faults.flatMap(({ tests }) => tests))]);
  if (sound.ran === 0 || sound.failed > 0) {
    throw new Error(`without a fault ${sound.failed} of ${sound.ran} tests fail (${sound.first}); that proves nothing`);
  }
  process.stdout.write(`without a fault ${sound.ran} tests pass\n\n`);
  let noticed = 0;
  for (const [index, fault] of faults.entries()) {
    const file = path.join(copy, fault.file);
    writeFileSync(file, broken[index]);
    const { failed, first } = await runTests(copy, fault.tests);
    cpSync(path.join(root, fault.file), file);
    if (failed > 0) noticed += 1;
    const verdict = failed > 0 ? `${failed} fail, first: ${first}` : 'NO TEST FAILS';
    process.stdout.write(`${fault.name.padEnd(56)} ${fault.file.padEnd(38)} ${verdict}\n`);
  }
  process.stdout.write(`\n${noticed}/${faults.length}\n`);
  return noticed === faults.length ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`faults: ${error.message}\n`);
  process.exitCode = 1;
}
