// Promise: message boundaries agree with Node's own parser, or the connection is opaque; no line goes into a body.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startInProcessSidecar } from '../support/in-process-sidecar.ts';
import { randomSizes, seededRandom } from '../support/random-exchanges.ts';
import { type BoundaryCase, corpus } from './corpus.ts';
import { mutants } from './mutants.ts';
import { startNodeOracle } from './node-oracle.ts';
import { readByTracecar } from './tracecar-view.ts';
import { judge, outcomeOf, Tally } from './verdicts.ts';

const families = [...new Set(corpus.map(({ family }) => family))];

test('the corpus is large, and no two of its cases are the same', () => {
  assert.ok(corpus.length >= 450, `${corpus.length} cases`);
  assert.equal(new Set(corpus.map(({ bytes, probe }) => bytes.replace(probe, ''))).size, corpus.length);
});

test('boundaries agree with Node, or the connection goes opaque', async (t) => {
  const oracle = await startNodeOracle(t);
  const tally = new Tally();
  for (const family of families) {
    await t.test(family, async () => {
      const faults: string[] = [];
      for (const subject of corpus.filter((other) => other.family === family)) {
        const tracecar = readByTracecar([subject.bytes]);
        tally.add(family, outcomeOf(subject, tracecar));
        const verdict = await judge(subject, tracecar, oracle);
        if (verdict.turnedAway) tally.addTurnedAway(family, oracle.name);
        faults.push(...verdict.faults);
      }
      assert.deepEqual(faults, []);
    });
  }
  for (const line of tally.lines([oracle.name])) t.diagnostic(line);
  const { agreed, opaque } = tally.total;
  // Neither giving up on everything nor believing everything would be an agreement.
  assert.ok(agreed > corpus.length / 5 && opaque > corpus.length / 3, `${agreed} agreed, ${opaque} opaque`);
});

test('boundaries agree with Node on random changes of the corpus too', async (t) => {
  const oracle = await startNodeOracle(t);
  const seed = Number(process.env.SEED ?? Date.now() % 1e9);
  const faults: string[] = [];
  for (const subject of mutants(seededRandom(seed), 1500)) {
    faults.push(...(await judge(subject, readByTracecar([subject.bytes]), oracle)).faults);
  }
  assert.deepEqual(faults, [], `SEED=${seed}`);
});

/** Pieces of the given sizes, over and over. */
function pieces(text: string, sizes: readonly number[]): string[] {
  const result: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const size = sizes[i % sizes.length]!;
    result.push(text.slice(at, at + size));
    at += size;
  }
  return result;
}

test('through a sidecar Node sees what it sees directly', async (t) => {
  const oracle = await startNodeOracle(t);
  const faults: unknown[] = [];
  const sidecar = await startInProcessSidecar(t, oracle.port, (error) => faults.push(error));
  for (const subject of corpus) {
    const direct = await oracle.see(subject.bytes);
    const through = await oracle.seeThrough(sidecar.port, subject.bytes);
    const withoutTrace = { ...through, requests: through.requests.map((seen) => ({ ...seen, traceparents: [] })) };
    assert.deepEqual(withoutTrace, direct, `${subject.family}: ${subject.name}`);
  }
  assert.deepEqual(faults, []);
  await eventually('every connection is over', () => sidecar.open.size === 0);
});

test('what is sound is read to its end, and nothing else is', () => {
  const wrong = corpus.filter((subject) => {
    const isOpaque = outcomeOf(subject, readByTracecar([subject.bytes])) === 'opaque';
    return isOpaque === subject.sound;
  });
  assert.deepEqual(
    wrong.map(({ family, name }) => `${family}: ${name}`),
    [],
  );
});

test('every case is seen the same however its bytes are cut, and no byte is lost', () => {
  const random = seededRandom(4);
  const seen = (subject: BoundaryCase, cut: readonly string[]) => {
    const { requests, opaque, awaitsHead, original, faults } = readByTracecar(cut);
    assert.deepEqual([original === subject.bytes, faults], [true, []], `${subject.family}: ${subject.name}`);
    const inserted = requests.map(({ traceparent, ...request }) => ({
      ...request,
      inserted: traceparent !== undefined,
    }));
    // What an unread connection is called may depend on how much of it there was to look at.
    return { requests: inserted, opaque: opaque !== '', awaitsHead };
  };
  for (const subject of corpus) {
    const whole = seen(subject, [subject.bytes]);
    const { length } = subject.bytes;
    const cuts = [randomSizes(random, length), randomSizes(random, length), length < 2000 ? [1] : [997]];
    for (const sizes of cuts) {
      assert.deepEqual(
        seen(subject, pieces(subject.bytes, sizes)),
        whole,
        `${subject.family}: ${subject.name}: ${sizes[0]}`,
      );
    }
  }
});
