// Promise: message boundaries agree with nginx, HAProxy, Go and Node, or the connection is opaque; no line goes into a body.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type BoundaryCase, corpus } from '../boundaries/corpus.ts';
import { startGoOracle } from '../boundaries/go-oracle.ts';
import { mutants } from '../boundaries/mutants.ts';
import { startNodeOracle } from '../boundaries/node-oracle.ts';
import { startHaproxyOracle, startNginxOracle } from '../boundaries/proxy-oracle.ts';
import { readByTracecar } from '../boundaries/tracecar-view.ts';
import { judge, outcomeOf, Tally } from '../boundaries/verdicts.ts';
import type { Oracle } from '../boundaries/view.ts';
import { seededRandom } from '../support/random-exchanges.ts';

const starters = {
  node: (t: TestContext) => startNodeOracle(t),
  go: startGoOracle,
  nginx: (t: TestContext, folder: string) => startNginxOracle(t, path.join(folder, 'nginx')),
  haproxy: (t: TestContext, folder: string) => startHaproxyOracle(t, path.join(folder, 'haproxy')),
} as const;

/** Streams under way at one oracle. */
const atOnce = 8;

function isInstalled(command: string): boolean {
  return spawnSync(command, [command === 'go' ? 'version' : '-v']).error === undefined;
}

async function judgeAll(
  cases: readonly BoundaryCase[],
  oracles: readonly Oracle[],
): Promise<{ readonly faults: string[]; readonly tally: Tally }> {
  const tally = new Tally();
  const faults: string[] = [];
  const views = cases.map((subject) => readByTracecar([subject.bytes]));
  for (const [i, subject] of cases.entries()) tally.add(subject.family, outcomeOf(subject, views[i]!));
  const work = async (oracle: Oracle, todo: Iterator<[number, BoundaryCase]>) => {
    for (let next = todo.next(); next.done !== true; next = todo.next()) {
      const [i, subject] = next.value;
      const verdict = await judge(subject, views[i]!, oracle);
      if (verdict.turnedAway) tally.addTurnedAway(subject.family, oracle.name);
      faults.push(...verdict.faults);
    }
  };
  await Promise.all(
    oracles.flatMap((oracle) => {
      const todo = cases.entries();
      return Array.from({ length: oracle.name.startsWith('Node') ? 1 : atOnce }, () => work(oracle, todo));
    }),
  );
  return { faults, tally };
}

test('message boundaries', { timeout: 170_000 }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'oracles-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const oracles: Oracle[] = [];
  for (const [command, start] of Object.entries(starters)) {
    if (command === 'node' || isInstalled(command)) oracles.push(await start(t, folder));
    else await t.test(`as ${command} sees them`, { skip: `${command} is not installed` }, () => {});
  }
  const names = oracles.map(({ name }) => name);

  await t.test(`of the corpus: agreed with ${names.join(', ')}, or opaque`, async () => {
    const { faults, tally } = await judgeAll(corpus, oracles);
    for (const line of tally.lines(names)) t.diagnostic(line);
    assert.deepEqual(faults, []);
    assert.equal(tally.total.cases, corpus.length);
  });

  await t.test('of random changes of the corpus', async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 1e9);
    const { faults } = await judgeAll(mutants(seededRandom(seed), 600), oracles);
    assert.deepEqual(faults, [], `SEED=${seed}`);
  });
});
