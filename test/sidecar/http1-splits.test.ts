// Promise: however a connection's bytes are cut and interleaved, the same goes on and the same spans are made.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FlagValues } from '../../src/sidecar/options.ts';
import {
  type Arrival,
  type Conversation,
  randomArrivals,
  randomConversation,
  unsplit,
} from '../support/random-conversations.ts';
import { type Random, seededRandom } from '../support/random-exchanges.ts';
import { Observed, type SeenSpan } from './observed.ts';

/** SEED repeats a run, RUNS makes a longer one. */
const firstSeed = Number(process.env.SEED ?? Date.now() % 1e9);

const runs = Number(process.env.RUNS ?? 1);

function observe(arrivals: readonly Arrival[], flags: FlagValues = {}): Observed {
  const seen = new Observed(flags);
  for (const { from, bytes } of arrivals) {
    if (from === 'client') seen.client(bytes);
    else seen.server(bytes);
  }
  return seen.finish();
}

/** What went to the server, with random ids made equal. */
const withoutIds = ({ forwarded }: Observed) => forwarded.replace(/[0-9a-f]{8,}(-[0-9a-f]{4,})*/g, '#');

/** Everything that must not depend on how bytes arrive. */
const outcome = (seen: Observed) => ({
  spans: seen.spans,
  detected: seen.detected,
  degraded: seen.degraded,
  faults: seen.faults,
  unsolicited: seen.stats.unsolicitedResponses,
  open: seen.observer.requestsOpen,
});

function forMany(count: number, check: (random: Random) => void): void {
  for (let i = 0; i < count * runs; i++) {
    try {
      check(seededRandom(firstSeed + i));
    } catch (error) {
      throw new Error(`SEED=${firstSeed + i}`, { cause: error });
    }
  }
}

test('any split of any sound connection gives the same bytes and the same spans', () => {
  let spans = 0;
  let tunnels = 0;
  forMany(400, (random) => {
    const conversation = randomConversation(random, true);
    const whole = observe(unsplit(conversation));
    assert.equal(whole.spans.length, conversation.requests);
    assert.deepEqual(outcome(whole), {
      spans: whole.spans,
      detected: ['http1'],
      degraded: [],
      faults: [],
      unsolicited: 0,
      open: 0,
    });
    for (let i = 0; i < 3; i++) {
      const split = observe(randomArrivals(random, conversation));
      assert.deepEqual(outcome(split), outcome(whole));
      assert.equal(withoutIds(split), withoutIds(whole));
    }
    spans += whole.spans.length;
    tunnels += whole.spans.filter(({ status, method }) => status === 101 || method === 'CONNECT').length;
  });
  assert.ok(spans > 800 && tunnels > 30, `${spans} spans, ${tunnels} tunnels`);
});

test('every request of a sound connection gets our lines once, and no other byte changes', () => {
  forMany(300, (random) => {
    const conversation = randomConversation(random, false);
    const seen = observe(randomArrivals(random, conversation));
    assert.equal(seen.original, conversation.clientText);
    assert.equal(seen.insertions, conversation.requests);
  });
});

/** A few bytes of the text changed, put in or left out. */
function mutate(random: Random, text: string): string {
  const bytes = '\r\n\0 :;,09afGH/\x7f\xff';
  let result = text;
  for (let changes = random(3); changes > 0 && result !== ''; changes--) {
    const at = random(result.length);
    const kept = at + random(2);
    result = result.slice(0, at) + (oneByte(random, bytes) ?? '') + result.slice(kept);
  }
  return result;
}

const oneByte = (random: Random, bytes: string) => (random(4) === 0 ? undefined : bytes[random(bytes.length)]);

/** Both streams with changes in them, still in the order of the sound conversation as far as that goes. */
function mutated(
  random: Random,
  conversation: Conversation,
): { readonly arrivals: Arrival[]; readonly clientText: string } {
  const arrivals = randomArrivals(random, conversation);
  const chosen = new Set(Array.from({ length: 1 + random(3) }, () => random(arrivals.length)));
  const changed = arrivals.map((arrival, i) =>
    chosen.has(i) ? { ...arrival, bytes: mutate(random, arrival.bytes) } : arrival,
  );
  const kept = changed.filter(({ bytes }) => bytes !== '');
  const clientText = kept.map(({ from, bytes }) => (from === 'client' ? bytes : '')).join('');
  return { arrivals: kept, clientText };
}

test('whatever is wrong with the bytes, all of them go on, and every request opened is one span', () => {
  let degraded = 0;
  forMany(1500, (random) => {
    const { arrivals, clientText } = mutated(random, randomConversation(random, false));
    const seen = observe(arrivals);
    assert.equal(seen.original, clientText);
    assert.deepEqual(seen.faults, []);
    assert.equal(seen.observer.requestsOpen, 0);
    assert.ok(seen.insertions <= seen.spans.length, `${seen.insertions} insertions, ${seen.spans.length} spans`);
    assert.ok(seen.degraded.length <= 1, `degraded ${seen.degraded}`);
    degraded += seen.degraded.length;
  });
  assert.ok(degraded > 200, `only ${degraded} connections were in doubt`);
});

test('with --strict what goes on is the beginning of what came, all of it when nothing was in doubt', () => {
  let refused = 0;
  forMany(500, (random) => {
    const { arrivals, clientText } = mutated(random, randomConversation(random, false));
    const seen = observe(arrivals, { strict: 'true' });
    assert.ok(clientText.startsWith(seen.original), 'other bytes went on');
    assert.deepEqual(seen.faults, []);
    if (seen.refused.length === 0) assert.equal(seen.original, clientText);
    refused += seen.refused.length;
  });
  assert.ok(refused > 50, `only ${refused} connections were refused`);
});

const sizes = ({ method, target, requestBytes }: SeenSpan) => [method, target, requestBytes];

test('a doubt is found at the same byte however the bytes are cut', () => {
  forMany(400, (random) => {
    const conversation = randomConversation(random, false);
    const text = mutate(random, conversation.clientText);
    const whole = new Observed().client(text).finish();
    for (const largest of [1, 5, 300]) {
      const cut = new Observed();
      for (let at = 0; at < text.length; ) {
        const size = 1 + random(largest);
        cut.client(text.slice(at, at + size));
        at += size;
      }
      cut.finish();
      assert.equal(withoutIds(cut), withoutIds(whole));
      assert.deepEqual(cut.spans.map(sizes), whole.spans.map(sizes));
    }
  });
});
