// Runs the suites in test/real against real servers and clients. --only-present: gets nothing, skips what is missing.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  get,
  impossible,
  missing,
  startEnvoy,
  startJaeger,
  startPods,
  startPython,
  startZipkin,
  stop,
} from './real-servers.mjs';

const servers = {
  jaeger: startJaeger,
  zipkin: startZipkin,
  envoy: startEnvoy,
  python: startPython,
  pods: startPods,
};
/** Programs of the machine that some suite can do with: with none of them there is nothing to run. */
const programs = ['curl', 'python3', 'go', 'java', 'nginx', 'haproxy', 'ip'];
const onlyPresent = process.argv.includes('--only-present');
const tests = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));

function isUsable(name) {
  const never = impossible(name);
  if (!onlyPresent && never === undefined) get(name);
  const reason = never ?? missing(name);
  if (reason === undefined) return true;
  if (!onlyPresent && never === undefined) throw new Error(reason);
  process.stdout.write(`skipped: what needs ${name} (${reason})\n`);
  return false;
}

function isInstalled(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

async function runTests(env) {
  const args = [path.join(import.meta.dirname, 'test.mjs'), ...(tests.length > 0 ? tests : ['test/real'])];
  const runner = spawn(process.execPath, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  return await new Promise((resolve) => runner.once('exit', (code) => resolve(code ?? 1)));
}

async function main() {
  const usable = Object.keys(servers).filter(isUsable);
  if (usable.length === 0 && !programs.some(isInstalled)) return 0;
  const runFolder = mkdtempSync(path.join(tmpdir(), 'tracecar-real-'));
  const started = [];
  let code = 1;
  try {
    for (const name of usable) started.push(await servers[name](runFolder));
    code = await runTests(Object.assign({}, ...started.map(({ env }) => env)));
  } finally {
    await Promise.all(started.map(({ child }) => stop(child)));
    // A failed run leaves the servers' logs to read.
    if (code === 0) rmSync(runFolder, { recursive: true, force: true });
  }
  return code;
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
process.exitCode = await main().catch((error) => {
  process.stderr.write(`test:real: ${error.message}\n`);
  return 1;
});
