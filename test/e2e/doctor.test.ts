// Promise: the doctor says all is well when it is, and else names the first thing that is wrong.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Collector, startCollector, startZipkinSink } from '../support/collector.ts';
import { deadPort } from '../support/dead-port.ts';
import { startApplication } from '../support/load.ts';
import { runProgram } from '../support/programs.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';

function runDoctor(sidecar: Sidecar, collector: Collector, via = `http://127.0.0.1:${sidecar.inbound}/`) {
  return runProgram([
    'doctor',
    ...['--sidecar', sidecar.admin, '--collector', collector.metrics, '--viewer', collector.viewer],
    ...['--timeout', '3s', '--via', via],
  ]);
}

/** An application that calls `next` while serving, with or without the headers it was given. */
async function startCaller(t: TestContext, callsTo: () => number, forwards: boolean): Promise<number> {
  const server = http.createServer((request, response) => {
    const { host: _, connection: __, ...given } = request.headers;
    const headers = forwards ? given : {};
    const call = http.get({ port: callsTo(), host: '127.0.0.1', path: '/next', agent: false, headers }, (answer) => {
      answer.resume().on('end', () => response.end('done'));
    });
    call.on('error', () => response.writeHead(502).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return (server.address() as net.AddressInfo).port;
}

/** One application with a sidecar on both sides, calling another. */
async function setUp(
  t: TestContext,
  options: { readonly forwards: boolean; readonly collectorArgs?: string[]; readonly otlp?: string },
) {
  const collector = await startCollector(t, options.collectorArgs);
  let outbound = 0;
  const caller = await startCaller(t, () => outbound, options.forwards);
  const sidecar = await startSidecar(t, {
    inbound: caller,
    outbound: [await startApplication(t)],
    otlp: options.otlp ?? `http://${collector.otlpHttp}`,
    service: 'shop',
  });
  outbound = sidecar.outbound[0]!;
  return { collector, sidecar };
}

test('a sound installation: every hop is good, exit 0', async (t) => {
  const zipkin = await startZipkinSink(t);
  const { collector, sidecar } = await setUp(t, { forwards: true, collectorArgs: ['--zipkin', zipkin.url] });
  const { code, stdout, stderr } = await runDoctor(sidecar, collector);
  assert.deepEqual([code, stderr], [0, ''], stdout);
  assert.ok(!stdout.includes('✗'), stdout);
  for (const hop of [
    'sidecar shop',
    'request',
    'captured',
    'protocol',
    'sampled',
    'context',
    'spans of shop',
    'application shop',
  ]) {
    assert.match(stdout, new RegExp(`✓ ${hop} `), hop);
  }
  assert.match(stdout, /✓ context +it came in \(shop continues the trace\), 1 calls went out with it/);
  assert.match(stdout, /✓ collector +it accepted 2 spans/);
  assert.equal(stdout.match(/✓ backend /g)?.length, 2);
  assert.match(stdout, /✓ trace +2 spans over shop/);
  assert.match(stdout, /\ndoctor: nothing is wrong\n$/);
});

test('no sidecar is the first thing wrong', async (t) => {
  const admin = `127.0.0.1:${await deadPort(t)}`;
  const { code, stdout } = await runProgram(['doctor', '--sidecar', admin]);
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`first thing wrong: sidecar .*${admin}.*connection refused\n +what to do: start`));
});

test('an application that is down is the first thing wrong', async (t) => {
  const collector = await startCollector(t);
  const sidecar = await startSidecar(t, { inbound: await deadPort(t), otlp: `http://${collector.otlpHttp}` });
  const { code, stdout } = await runDoctor(sidecar, collector);
  assert.equal(code, 1);
  assert.match(stdout, /first thing wrong: request: .*ECONNRESET.*the application behind the sidecar is down/);
});

test('a URL that no sidecar serves is the first thing wrong', async (t) => {
  const { collector, sidecar } = await setUp(t, { forwards: true });
  const past = await startApplication(t);
  const { code, stdout } = await runDoctor(sidecar, collector, `http://127.0.0.1:${past}/`);
  assert.equal(code, 1);
  assert.match(stdout, /first thing wrong: captured: .*went past/);
});

test('a collector that is down is the first thing wrong, at the sidecar that cannot deliver', async (t) => {
  const dead = `127.0.0.1:${await deadPort(t)}`;
  const { collector, sidecar } = await setUp(t, { forwards: true, otlp: `http://${dead}` });
  const { code, stdout } = await runDoctor(sidecar, { ...collector, metrics: dead });
  assert.equal(code, 1);
  assert.match(stdout, /first thing wrong: spans of shop: 2 made, 2 wait in the queue.*ECONNREFUSED\n.*collector runs/);
  assert.match(stdout, /✗ collector +its metrics on .* connection refused/);
});

test('an application that forwards no headers is the first thing wrong', async (t) => {
  const { collector, sidecar } = await setUp(t, { forwards: false });
  const { code, stdout } = await runDoctor(sidecar, collector);
  assert.equal(code, 1);
  assert.match(stdout, /first thing wrong: application shop: it passes no trace headers on \(1 calls seen\)/);
  assert.match(stdout, /what to do: copy .*tracecontext/);
});

test('a backend that is down is the first thing wrong, the others are not', async (t) => {
  const dead = `http://127.0.0.1:${await deadPort(t)}/api/v2/spans`;
  const { collector, sidecar } = await setUp(t, { forwards: true, collectorArgs: ['--zipkin', dead] });
  const { code, stdout } = await runDoctor(sidecar, collector);
  assert.equal(code, 1);
  assert.match(stdout, /first thing wrong: backend \S*zipkin\S*: it acknowledges nothing; its queue holds/);
  assert.match(stdout, /✓ backend store/);
  assert.match(stdout, /✓ trace /);
});
