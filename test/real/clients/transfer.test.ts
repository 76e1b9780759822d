// A gibibyte each way through a sidecar: equal checksums, and a memory that does not grow with what passes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { programArguments } from '../../support/programs.ts';
import { type Sidecar, startSidecarAndSink } from '../../support/sidecar.ts';
import { startEcho } from './support/application.ts';
import { absent, run } from './support/commands.ts';
import { startNginx } from './support/nginx.ts';
import { spanLines } from './support/wire.ts';

const bytes = 1 << 30;
const maxPeakMb = 120;
const notCompiled = programArguments.length > 1 && 'the sidecar runs from its sources, which takes more memory';
const skip = absent('curl', 'nginx', 'sh', 'head', 'sha256sum') || notCompiled;

/** A process and all below it: a sidecar may be a worker under a supervisor. */
function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(processTree)];
}

/** The peak memory in MB of the largest process of a sidecar. */
function peakMb({ program }: Sidecar): number {
  const peaks = processTree(program.process.pid ?? 0).map((pid) => {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes ?? 0) / 1024;
  });
  return Math.max(...peaks);
}

/** Runs a line of shell and gives its first word. */
async function shell(line: string): Promise<string> {
  const { code, stdout, stderr } = await run('sh', ['-c', line], { timeoutMs: 120_000 });
  assert.equal(code, 0, stderr);
  return stdout.split(/\s/, 1)[0] ?? '';
}

test('a gibibyte comes down and goes up with equal checksums in little memory', { skip }, async (t) => {
  const application = await startEcho(t);
  const nginx = await startNginx(t, application.port);
  const file = path.join(nginx.files, 'gibibyte');
  const sum = await shell(`head -c ${bytes} /dev/urandom | tee ${file} | sha256sum`);
  const down = await startSidecarAndSink(t, nginx.port);
  assert.equal(await shell(`curl -sf http://127.0.0.1:${down.sidecar.inbound}/gibibyte | sha256sum`), sum);
  assert.deepEqual(await spanLines(down.sink, 1), [`GET /gibibyte 200 0 ${bytes}`]);

  const up = await startSidecarAndSink(t, application.port);
  const { stdout } = await run('curl', ['-sf', '-T', file, `http://127.0.0.1:${up.sidecar.inbound}/up`], {
    timeoutMs: 120_000,
  });
  assert.ok(stdout.endsWith(`${bytes} ${sum}\n`), stdout);
  const [line = ''] = await spanLines(up.sink, 1);
  assert.ok(line.startsWith(`PUT /up 200 ${bytes} `), line);

  for (const [what, sidecar] of [
    ['down', down.sidecar],
    ['up', up.sidecar],
  ] as const) {
    t.diagnostic(`peak memory, a gibibyte ${what}: ${peakMb(sidecar).toFixed(0)} MB`);
    assert.ok(peakMb(sidecar) < maxPeakMb);
  }
});
