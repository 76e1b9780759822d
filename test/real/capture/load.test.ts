// The load scenario `capture` in brief: no connection fails, every span is accounted for, every figure is there. No timing.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { noNamespaces } from '../../support/network-namespace.ts';
import { root } from '../../support/programs.ts';
import { run } from '../clients/support/commands.ts';

const compiled = path.join(root, '.cache', 'loadtest-capture');
const skip =
  noNamespaces || (existsSync(path.join(root, 'dist', 'cli', 'main.js')) ? false : 'not built (npm run build)');

test('every way of capture carries both directions at once, and none fails', { skip }, async () => {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'loadtest/tsconfig.json', '--outDir', compiled];
  const compile = await run(process.execPath, tsc, { cwd: root });
  assert.equal(compile.code, 0, compile.stdout);
  const ways = ['pairs', 'redirect', 'tproxy', 'istio'];
  const flags = ['--scenario', 'capture', '--json', '--seconds', '1', '--rate', '100'];
  const chosen = ways.flatMap((way) => ['--only', way]);
  const load = await run(process.execPath, [path.join(compiled, 'main.js'), ...flags, ...chosen], {
    cwd: root,
    timeoutMs: 150_000,
  });
  assert.equal(load.code, 0, load.stderr || load.stdout);
  const report = JSON.parse(load.stdout) as {
    readonly rows: readonly Readonly<Record<string, string | number>>[];
    readonly bars: readonly { readonly value: number; readonly limit: number }[];
    readonly faults: readonly string[];
  };
  assert.deepEqual(report.faults, []);
  assert.deepEqual(
    report.rows.map((row) => [row.way, row.inbound, row.inboundFailed, row.outbound, row.outboundFailed]),
    ways.map((way) => [way, 100, 0, 200, 0]),
  );
  for (const row of report.rows) assert.ok(Number(row.cpuUsPerConnection) > 0);
  assert.deepEqual(
    report.bars.map(({ limit }) => limit),
    [20, 20, 20],
  );
});
