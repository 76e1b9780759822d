// The benchmark's own parts: what the load carries, how figures are taken, how bad flags are told.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import test from 'node:test';
import { median } from '../../loadtest/median.ts';
import { treeUsage } from '../../loadtest/proc.ts';
import { describeHead, encodeRequest, scenarios } from '../../loadtest/scenario.ts';

const root = path.dirname(path.dirname(import.meta.dirname));

function scenario(name: string) {
  const found = scenarios.find((candidate) => candidate.name === name);
  assert.ok(found, name);
  return found;
}

test('h1 carries no trace header', () => {
  assert.equal(encodeRequest(scenario('h1'), 'a:1'), 'GET / HTTP/1.1\r\nhost: a:1\r\n\r\n');
});

test('h1-real carries 20 headers in about 900 bytes, both header families and a request id among them', () => {
  const { names, bytes } = describeHead(scenario('h1-real'));
  assert.equal(names.length, 20);
  assert.ok(bytes > 850 && bytes < 950, `${bytes} bytes`);
  for (const name of ['traceparent', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled', 'x-request-id']) {
    assert.ok(names.includes(name), name);
  }
});

test('h1-real sends a body of 1 KiB and says so, and B3 and traceparent are of one trace', () => {
  const [head = '', body = ''] = encodeRequest(scenario('h1-real'), 'a:1').split('\r\n\r\n');
  assert.equal(body.length, 1024);
  assert.match(head, /\r\ncontent-length: 1024$/);
  const trace = /\r\ntraceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-01\r\n/.exec(head);
  assert.ok(trace);
  assert.ok(head.includes(`\r\nx-b3-traceid: ${trace[1]}\r\nx-b3-spanid: ${trace[2]}\r\n`));
});

test('the median of an even count is between the two in the middle', () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
});

test('the CPU time of a process includes that of its children', { skip: process.platform !== 'linux' }, async (t) => {
  const busy =
    'const end = Date.now() + 300; while (Date.now() < end); setInterval(() => {}, 1000); console.log("idle")';
  const parent = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(busy)}], { stdio: 'inherit' })`;
  const child = spawn(process.execPath, ['-e', parent], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
  const pid = child.pid ?? 0;
  t.after(() => process.kill(-pid, 'SIGKILL'));
  await once(child.stdout, 'data');
  const { cpuUs, residentBytes } = treeUsage(pid);
  assert.ok(cpuUs >= 100_000, `${cpuUs} µs`);
  assert.ok(residentBytes > 50e6, 'two Node processes');
});

for (const [flags, message] of [
  [
    ['--scenario', 'h9'],
    /^load: unknown scenario "h9"; the scenarios are h1, h1-real, open-loop, churn, capture, idle, throughput, rolling-stop, attacks, rss\n$/,
  ],
  [['--seconds', 'many'], /^load: --seconds "many": a number from 5 to 600\n$/],
  [['--only', 'squid'], /^load: --only "squid": it is one of direct, bare splice, Tracecar 100 %, /],
  [['--rounds', '3'], /^load: --rounds: scenario h1 does not take it\n$/],
  [['--scenario', 'churn', '--rate', '1.5'], /^load: --rate "1.5": a whole number from 1 to 20000\n$/],
  [['--scenario', 'churn', '--rate', '5', '--rate', '6'], /^load: --rate is given more than once\n$/],
  [['--scenario', 'attacks', '--only', 'rain'], /^load: --only "rain": it is one of slow-heads, slow-bodies, /],
  [['--bogus'], /^load: Unknown option '--bogus'\n$/],
] as const) {
  test(`${flags.join(' ')} is one line and exit 2`, () => {
    const args = ['--import', 'tsx', path.join(root, 'loadtest', 'main.ts'), ...flags];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, message);
  });
}
