// What every receiver promises, whatever its senders speak.
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Collector, type CollectorOptions, startCollector } from '../../src/collector/main.ts';
import { decodeRequest } from '../../src/formats/otlp/decode.ts';
import { createLog } from '../../src/runtime/log.ts';
import { encodeByOracle, type Json } from '../formats/otlp/oracle.ts';
import { plainSpan, requestOf } from '../formats/otlp/samples.ts';
import { type Answer, type Sender, senders } from './support/senders.ts';

const maxRequestBytes = 200_000;
const anyPort = { host: '127.0.0.1', port: 0 };

interface SetUp {
  readonly collector: Collector;
  /** Span names in the order the sink got them. */
  readonly stored: string[];
  readonly send: (body: Uint8Array, options?: Parameters<Sender['send']>[2]) => Promise<Answer>;
}

async function setUp(t: TestContext, sender: Sender, changes: Partial<CollectorOptions> = {}): Promise<SetUp> {
  const stored: string[] = [];
  const accept = (request: Uint8Array) => {
    for (const { scopeSpans } of decodeRequest(request)) {
      for (const { spans } of scopeSpans) stored.push(...spans.map(({ name }) => name));
    }
  };
  const collector = await startCollector({
    otlpGrpc: anyPort,
    otlpHttp: anyPort,
    metrics: anyPort,
    health: anyPort,
    backends: [],
    sinks: [{ name: 'memory', accept }],
    log: createLog('test', 'silent'),
    maxRequestBytes,
    ...changes,
  });
  const connection = sender.connect(collector.addresses);
  t.after(async () => {
    connection.close();
    await collector.close();
  });
  return { collector, stored, send: (body, options) => sender.send(connection, body, options) };
}

const three = [0, 1, 2].map((index) => plainSpan(index));
const threeNames = ['GET /items/0', 'GET /items/1', 'GET /items/2'];
const full: Answer = { kind: 'taken', rejectedSpans: 0, errorMessage: '' };

/** Random text does not compress, so the limit before and the one after unpacking can be told apart. */
function noise(length: number): string {
  let state = 7;
  let text = '';
  while (text.length < length) {
    state = (state * 48271) % 2147483647;
    text += state.toString(36);
  }
  return text.slice(0, length);
}

for (const sender of senders) {
  const bodyOf = (spans: readonly Json[]) => sender.encode(encodeByOracle(requestOf(spans)));

  describe(`${sender.name} receiver`, () => {
    test('takes a request and answers in kind', async (t) => {
      const { send, stored, collector } = await setUp(t, sender);
      assert.deepEqual(await send(bodyOf(three)), full);
      assert.deepEqual(stored, threeNames);
      assert.deepEqual(collector.report(), [{ name: 'memory', accepted: 3, sent: 3, queued: 0, dropped: {} }]);
    });

    test('takes gzip', async (t) => {
      const { send, stored } = await setUp(t, sender);
      assert.deepEqual(await send(bodyOf(three), { gzip: true }), full);
      assert.deepEqual(stored, threeNames);
    });

    test('a request without spans succeeds and reaches nobody', async (t) => {
      const { send, stored } = await setUp(t, sender);
      assert.deepEqual(await send(sender.encode(new Uint8Array())), full);
      assert.deepEqual(stored, []);
    });

    test('one bad span of many is rejected alone, by partial success to its sender', async (t) => {
      const { send, stored } = await setUp(t, sender);
      const bad = plainSpan(9, { spanId: Buffer.alloc(7, 1) });
      const answer = await send(bodyOf([three[0]!, bad, three[1]!, three[2]!]));
      assert.deepEqual(answer, { kind: 'taken', rejectedSpans: 1, errorMessage: 'span 2: span_id of 7 bytes, not 8' });
      assert.deepEqual(stored, threeNames);
    });

    test('a malformed request is refused for good and harms nothing', async (t) => {
      const { send, stored } = await setUp(t, sender);
      const body = bodyOf(three);
      const answer = await send(body.subarray(0, body.byteLength - 5));
      assert.equal(answer.kind, 'malformed');
      assert.deepEqual(stored, []);
      assert.deepEqual(await send(body), full);
    });

    test('a request over the limit is refused as too large, and the next one is taken', async (t) => {
      const { send, stored } = await setUp(t, sender);
      const long = bodyOf([plainSpan(0, { name: noise(maxRequestBytes) })]);
      assert.deepEqual(await send(long), { kind: 'too-large' });
      assert.deepEqual(await send(bodyOf(three)), full);
      assert.deepEqual(stored, threeNames);
    });

    test('a small body that unpacks to more than the limit is too large', async (t) => {
      const { send, stored } = await setUp(t, sender);
      const bomb = bodyOf([plainSpan(0, { name: 'a'.repeat(maxRequestBytes) })]);
      assert.ok(gzipSync(bomb).byteLength < 2_000);
      assert.deepEqual(await send(bomb, { gzip: true }), { kind: 'too-large' });
      assert.deepEqual(stored, []);
    });

    test('a batch that comes again is answered as before and not stored again', async (t) => {
      const { send, stored } = await setUp(t, sender);
      const bad = plainSpan(9, { traceId: Buffer.alloc(16) });
      const body = bodyOf([...three, bad]);
      const first = await send(body, { batchId: 'pod-7/1763735725/12' });
      assert.equal(first.kind === 'taken' && first.rejectedSpans, 1);
      assert.deepEqual(await send(body, { batchId: 'pod-7/1763735725/12' }), first);
      assert.deepEqual(stored, threeNames);
      for (const batchId of [
        'pod-7/1763735725/13',
        'pod-7/1763735726/12',
        'pod-8/1763735725/12',
        'unusable',
        'unusable',
      ]) {
        stored.length = 0;
        assert.deepEqual(await send(body, { batchId }), first);
        assert.deepEqual(stored, threeNames, `${batchId} is another batch`);
      }
    });

    test('a malformed batch does not use its id up', async (t) => {
      const { send, stored } = await setUp(t, sender);
      const body = bodyOf(three);
      await send(body.subarray(0, body.byteLength - 5), { batchId: 'pod/1/1' });
      assert.deepEqual(await send(body, { batchId: 'pod/1/1' }), full);
      assert.deepEqual(stored, threeNames);
    });

    test('a sink that throws is not the sender’s trouble', async (t) => {
      const accept = () => {
        throw new Error('full');
      };
      const { send, collector } = await setUp(t, sender, { sinks: [{ name: 'broken', accept }] });
      assert.deepEqual(await send(bodyOf(three)), full);
      assert.deepEqual(collector.report()[0]?.dropped, { sink_error: 3 });
    });

    test('the same copy sent twice at once is stored once', async (t) => {
      const { send, stored } = await setUp(t, sender);
      const body = bodyOf(three);
      const answers = await Promise.all([1, 2, 3, 4].map(() => send(body, { batchId: 'pod/1/2' })));
      assert.deepEqual(answers, [full, full, full, full]);
      assert.deepEqual(stored, threeNames);
    });
  });
}
