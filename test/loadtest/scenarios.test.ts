// One quick run of each scenario with figures of its own: its rows are there and nothing happened that must not. No timing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'node:test';

const root = path.dirname(path.dirname(import.meta.dirname));
const compiled = path.join('.cache', 'loadtest-test');
const skip =
  process.platform !== 'linux'
    ? 'CPU time is read from /proc'
    : !existsSync(path.join(root, 'dist', 'cli', 'main.js'))
      ? 'the sidecar is not built (npm run build)'
      : false;

interface Report {
  readonly scenario: string;
  readonly command: string;
  readonly settings: Readonly<Record<string, number>>;
  readonly rows: readonly Readonly<Record<string, string | number>>[];
  readonly bars: readonly { readonly what: string; readonly value: number; readonly limit: number }[];
  readonly notes: readonly string[];
  readonly faults: readonly string[];
}

async function run(command: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, command, { cwd: root, env: { ...process.env, ...env } });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { stdout, stderr, code };
}

let compiling: Promise<unknown> | undefined;

/** The programs of the benchmark are started as they are compiled, here into a folder of their own. */
async function compile(): Promise<void> {
  const command = ['node_modules/typescript/bin/tsc', '-p', 'loadtest/tsconfig.json', '--outDir', compiled];
  compiling ??= run(command).then(({ code, stdout }) => assert.equal(code, 0, stdout));
  await compiling;
}

async function load(scenario: string, flags: string, env: NodeJS.ProcessEnv = {}): Promise<Report> {
  await compile();
  const command = [path.join(compiled, 'main.js'), '--scenario', scenario, '--json', ...flags.split(' ')];
  const { code, stdout, stderr } = await run(command, env);
  assert.equal(code, 0, stderr || stdout);
  const report = JSON.parse(stdout) as Report;
  assert.equal(report.scenario, scenario);
  assert.match(report.command, new RegExp(`^npm run load -- --scenario ${scenario} --json ${flags}$`));
  assert.deepEqual(report.faults, []);
  return report;
}

/** The one row of a peer, or of what else `key` names. */
function row(report: Report, key: string, value: string): Readonly<Record<string, number>> {
  const found = report.rows.filter((candidate) => candidate[key] === value);
  assert.equal(found.length, 1, `${value} in ${JSON.stringify(report.rows)}`);
  return found[0] as Readonly<Record<string, number>>;
}

function assertSpans(report: Report, least: number): void {
  const note = report.notes.find((line) => line.startsWith('spans of Tracecar'));
  const [, created, exported, received] =
    /: (\d+) created = (\d+) exported .*; (\d+) received by the sink: adds up$/.exec(note ?? '') ?? [];
  assert.ok(Number(created) >= least, note);
  assert.deepEqual([exported, received], [created, created]);
}

test('open-loop counts every request that was due, of every peer, and orders the percentiles', { skip }, async () => {
  const report = await load('open-loop', '--seconds 0.3 --rate 200 --connections 4');
  for (const peer of ['direct', 'bare splice', 'Tracecar 100 %']) {
    const { requests, failed, p50Ms = 0, p90Ms = 0, p99Ms = 0, maxMs = 0 } = row(report, 'peer', peer);
    assert.equal(requests, 60, peer);
    assert.equal(failed, 0, peer);
    assert.ok(p50Ms > 0 && p50Ms <= p90Ms && p90Ms <= p99Ms, `${p50Ms} ${p90Ms} ${p99Ms}`);
    assert.ok(maxMs >= p50Ms);
  }
  assertSpans(report, 120);
  assert.ok(report.bars.some(({ what }) => what.startsWith("p99 of Tracecar 100 % at 200/s, ms: the splice's + 0.3")));
});

test('churn opens a connection for each request and none fails', { skip }, async () => {
  const report = await load('churn', '--seconds 0.5 --rate 200');
  for (const peer of ['bare splice', 'Tracecar 100 %']) {
    const { connections, failed, rssAfterMb = 0 } = row(report, 'peer', peer);
    assert.equal(connections, 100, peer);
    assert.equal(failed, 0, peer);
    assert.ok(rssAfterMb > 20, `${rssAfterMb} MB`);
  }
  assertSpans(report, 150);
});

test('idle connections are held, answer afterwards, and silent ones go in turn', { skip }, async () => {
  const report = await load('idle', '--connections 40 --requests 80');
  assert.equal(report.rows.length, 6);
  for (const { connectionsThat, connections, answered, failed } of report.rows) {
    const inTurn = connectionsThat === 'send nothing, in turn';
    assert.equal(connections, inTurn ? 80 : 40);
    assert.equal(answered, inTurn ? undefined : 40);
    assert.equal(failed, 0);
  }
});

test('throughput moves whole bodies both ways', { skip }, async () => {
  const report = await load('throughput', '--mebibytes 2 --rounds 1');
  const bodies = report.rows.map(({ body, peer }) => `${body}: ${peer}`);
  const peers = ['direct', 'bare splice', 'Tracecar 100 %'];
  const kinds = ['down, Content-Length', 'down, chunks of 64 KiB', 'up, Content-Length'];
  assert.deepEqual(
    bodies,
    kinds.flatMap((kind) => peers.map((peer) => `${kind}: ${peer}`)),
  );
  for (const { megabytesPerSecond, failed } of report.rows) {
    assert.ok(Number(megabytesPerSecond) > 0);
    assert.equal(failed, 0);
  }
  assertSpans(report, 3);
});

test('rolling-stop ends a replica and starts it again without a failed request or a lost span', { skip }, async () => {
  const report = await load('rolling-stop', '--rounds 1 --rate 50');
  const { exits, failed, requests = 0 } = row(report, 'stopped', 'replica A');
  assert.equal(exits, 'sidecar 0, application 0');
  assert.equal(failed, 0);
  assert.ok(requests > 20, `${requests} requests`);
  const [, answered, spans] = /, (\d+) answered, 0 failed; (\d+) spans/.exec(report.notes[0] ?? '') ?? [];
  assert.ok(answered !== undefined && answered === spans, report.notes[0]);
});

test('attacks reach the sidecar, which counts them by reason, and the neighbour has its answers', {
  skip,
}, async () => {
  const report = await load('attacks', '--seconds 0.5 --rate 100 --connections 2 --only smuggling');
  const { failed, p99ToBaseline = 0, attackerConnections = 0 } = row(report, 'attack', 'smuggling');
  assert.equal(failed, 0);
  assert.ok(p99ToBaseline > 0);
  assert.ok(attackerConnections > 12, `${attackerConnections} connections`);
  assert.match(report.notes[0] ?? '', /^smuggling: .*tracecar_connections_degraded\{reason="bare_lf"\} \+\d+/);
});

test('rss counts N requests, then N more; without Go our own generator sends them', { skip }, async () => {
  const report = await load('rss', '--requests 300 --connections 4', { LOAD_WITHOUT_GO: '1' });
  assert.deepEqual(
    report.rows.map(({ peer, requests, failed }) => [peer, requests, failed]),
    [
      ['bare splice', 300, 0],
      ['Tracecar 100 %', 300, 0],
      ['bare splice', 600, 0],
      ['Tracecar 100 %', 600, 0],
    ],
  );
  assertSpans(report, 600);
});
