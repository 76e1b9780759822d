// Promise: rates are kept, hops agree, flags that came in win over chance, and the overall cap wins over all.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { type TestContext, test } from 'node:test';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { eventually } from '../support/eventually.ts';
import { sendRequests, startApplication } from '../support/load.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';

/** Resolves when the sidecar has counted the requests and exported every span it made. */
async function settled(sidecar: Sidecar, requests: number) {
  await eventually(`${requests} requests counted and all spans exported`, async () => {
    const ledger = await sidecar.ledger();
    const counted = sumOf(await sidecar.metrics(), 'tracecar_requests_total');
    return counted === requests && ledger.created === ledger.exported + ledger.dropped;
  });
}

const hex = (length: number) => Array.from({ length }, () => Math.floor(Math.random() * 16).toString(16)).join('');
const sampled = (flag: '00' | '01') => ({ traceparent: `00-${hex(31)}a-${hex(15)}b-${flag}` });

async function spansOf(
  t: TestContext,
  args: readonly string[],
  count: number,
  headers?: (i: number) => http.OutgoingHttpHeaders,
) {
  const seen: unknown[] = [];
  const app = await startApplication(t, (request) => seen.push(request.headers.traceparent));
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: app, otlp: sink.url, args });
  await sendRequests(sidecar.inbound, count, headers);
  await settled(sidecar, count);
  return { spans: sink.spans.length, seen };
}

test('0 % makes no span and harms no request', async (t) => {
  const { spans, seen } = await spansOf(t, ['--sampling-random', '0'], 50);
  assert.equal(spans, 0);
  assert.equal(seen.length, 50);
  assert.ok(seen.every((traceparent) => traceparent === undefined || /-0[02]$/.test(String(traceparent))));
});

test('100 % makes one span a request', async (t) => {
  const { spans, seen } = await spansOf(t, ['--sampling-random', '100'], 200);
  assert.equal(spans, 200);
  assert.ok(seen.every((traceparent) => /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]$/.test(String(traceparent))));
});

test('25 % is kept within five standard deviations', async (t) => {
  const { spans } = await spansOf(t, ['--sampling-random', '25'], 1200);
  assert.ok(Math.abs(spans - 300) < 75, `${spans} of 1200 requests were sampled`);
});

test('a fraction of a percent is a rate, not zero and not one percent', async (t) => {
  const { spans } = await spansOf(t, ['--sampling-random', '0.01'], 500);
  assert.ok(spans <= 3, `${spans} of 500 requests were sampled at 0.01 %`);
});

test('a flag that came in wins over the random rate, both ways', async (t) => {
  const kept = await spansOf(t, ['--sampling-random', '0'], 20, () => sampled('01'));
  assert.equal(kept.spans, 20);
  const dropped = await spansOf(t, ['--sampling-random', '100'], 20, () => sampled('00'));
  assert.equal(dropped.spans, 0);
});

test('x-client-trace-id forces a trace within the client rate only', async (t) => {
  const forced = await spansOf(t, ['--sampling-random', '0'], 10, () => ({ 'x-client-trace-id': 'support-case-7' }));
  assert.equal(forced.spans, 10);
  const refused = await spansOf(t, ['--sampling-random', '0', '--sampling-client', '0'], 10, () => ({
    'x-client-trace-id': 'support-case-7',
  }));
  assert.equal(refused.spans, 0);
});

test('the overall cap wins over flags, forcing and the random rate', async (t) => {
  const capped = await spansOf(t, ['--sampling-overall', '0'], 30, (i) => {
    if (i % 3 === 0) return sampled('01');
    return i % 3 === 1 ? { 'x-client-trace-id': 'x' } : {};
  });
  assert.equal(capped.spans, 0);
});

test('two hops with the same cap keep the same traces, a lower cap keeps a subset of them', async (t) => {
  const app = await startApplication(t);
  const sink = await startOtlpSink(t);
  const caps = { first: '50', second: '50', third: '20' };
  let port = app;
  const hops: Sidecar[] = [];
  for (const service of ['third', 'second', 'first'] as const) {
    const args = ['--sampling-overall', caps[service]];
    hops.unshift(await startSidecar(t, { inbound: port, otlp: sink.url, service, args }));
    port = hops[0]!.inbound;
  }
  await sendRequests(port, 400, () => sampled('01'));
  for (const hop of hops) await settled(hop, 400);
  const traces = (service: string) =>
    new Set(sink.spans.filter((span) => span.service === service).map((span) => span.traceId));
  const [first, second, third] = [traces('first'), traces('second'), traces('third')];
  assert.ok(Math.abs(first.size - 200) < 60, `the first hop kept ${first.size} of 400`);
  assert.deepEqual([...second].sort(), [...first].sort());
  assert.ok(third.size > 0 && third.size < second.size, `the third hop kept ${third.size}`);
  assert.ok([...third].every((traceId) => first.has(traceId)));
});

test('the same trace id is decided the same way every time', async (t) => {
  const app = await startApplication(t);
  const sink = await startOtlpSink(t);
  const args = ['--sampling-overall', '50'];
  const sidecar = await startSidecar(t, { inbound: app, otlp: sink.url, args });
  const contexts = Array.from({ length: 60 }, () => sampled('01'));
  await sendRequests(sidecar.inbound, 180, (i) => contexts[i % 60]!);
  await settled(sidecar, 180);
  const counts = new Map<string, number>();
  for (const span of sink.spans) counts.set(span.traceId, (counts.get(span.traceId) ?? 0) + 1);
  assert.deepEqual(new Set(counts.values()), new Set([3]));
});
