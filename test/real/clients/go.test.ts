// Go's net/http through a sidecar: client, server and ReverseProxy, with trailers, early hints, 100-continue and aborts.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { startOtlpSink } from '../../support/otlp-sink.ts';
import { startSidecar } from '../../support/sidecar.ts';
import { absent, assertAlike, freePort, run, startServer } from './support/commands.ts';
import { keptFolder } from './support/kept-folder.ts';
import { assertNothingLost, assertUnchanged, degradedReasons, spanLines, startTap, startWire } from './support/wire.ts';

const skip = absent('go');
const folder = keptFolder('go');
const program = path.join(folder.path, 'programs');

before(async () => {
  if (skip !== false) return;
  const source = path.join(import.meta.dirname, 'programs', 'go', 'main.go');
  const built = await run('go', ['build', '-o', program, source], { timeoutMs: 170_000 });
  assert.equal(built.code, 0, built.stderr);
});
after(() => folder.remove());

async function startGo(t: TestContext, ...args: readonly [string, ...string[]]): Promise<number> {
  const port = await freePort();
  const [kind, ...rest] = args;
  await startServer(t, port, program, [kind, String(port), ...rest]);
  return port;
}

const megabytes = 2 << 20;
const spans = [
  /^GET \/echo 200 0 \d+$/,
  /^HEAD \/echo 200 0 0$/,
  new RegExp(`^POST /echo 200 ${megabytes} \\d+$`),
  new RegExp(`^POST /echo 200 ${megabytes} \\d+$`),
  /^POST \/echo 200 4 \d+$/,
  new RegExp(`^PUT /echo 200 ${megabytes} \\d+$`),
  /^PUT \/echo 413 0 \d+$/,
  /^GET \/hints 200 0 16$/,
  /^GET \/trailers 200 0 100000$/,
  /^GET \/gzip 200 0 \d+$/,
  /^GET \/none 404 0 19$/,
  /^GET \/abort 200 0 9$/,
  /^DELETE \/echo 200 0 \d+$/,
  /^GET \/hijack 101 22 22$/,
];

test("Go's client and server see through a sidecar what they see directly", { skip }, async (t) => {
  const wire = await startWire(t, await startGo(t, 'server'));
  const client = (port: number) => run(program, ['client', String(port)]);
  const through = await client(wire.through);
  assertAlike(through, await client(wire.direct));
  assert.equal(through.code, 0, through.stdout);
  for (const words of [
    '100 Continue',
    '103 map[Link:[</style-1.css>; rel=preload]]',
    'trailer Unannounced: ["def"]',
    'unexpected EOF',
  ]) {
    assert.ok(through.stdout.includes(words), words);
  }
  await assertUnchanged(wire);
  const lines = await spanLines(wire.sink, spans.length);
  for (const [i, span] of spans.entries()) assert.match(lines[i]!, span);
  assert.equal(lines.length, spans.length);
  assert.deepEqual(await degradedReasons(wire), []);
  await assertNothingLost(wire);
});

test("Go's ReverseProxy between two listeners of a sidecar passes on what it passes on without", {
  skip,
}, async (t) => {
  const server = await startGo(t, 'server');
  const sink = await startOtlpSink(t);
  const alone = await startGo(t, 'proxy', String(server));
  // The proxy is the application here: what it calls goes out through the sidecar, what calls it comes in through it.
  const [hole, inbound] = [await freePort(), await freePort()];
  const args = ['--outbound', `127.0.0.1:${hole}=127.0.0.1:${server}`];
  const sidecar = await startSidecar(t, { inbound, otlp: sink.url, args });
  await startServer(t, inbound, program, ['proxy', String(inbound), String(hole)]);
  const tap = await startTap(t, sidecar.inbound);
  const client = (port: number) => run(program, ['client', String(port)]);
  const through = await client(tap.port);
  assertAlike(through, await client(alone));
  assert.ok(through.stdout.includes('103 map[Link:[</style-1.css>; rel=preload]]'));
  assert.ok(through.stdout.includes('said after the upgrade <nil>'));
  const received = await sink.received(2 * spans.length);
  assert.equal(received.length, 2 * spans.length);
  const servers = received.filter(({ kind }) => kind === 'SERVER');
  const clients = received.filter(({ kind }) => kind === 'CLIENT');
  assert.equal(clients.length, spans.length);
  // ReverseProxy copies headers, so each call it makes is a child of the request that caused it.
  for (const span of clients) {
    const parent = servers.find(({ spanId }) => spanId === span.parentSpanId);
    assert.equal(parent?.traceId, span.traceId);
    assert.equal(parent?.attributes['url.path'], span.attributes['url.path']);
  }
});
