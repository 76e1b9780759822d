// Java through a sidecar: HttpClient (which asks for h2c), HttpURLConnection and com.sun.net.httpserver.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { absent, assertAlike, freePort, run, startServer } from './support/commands.ts';
import { keptFolder } from './support/kept-folder.ts';
import { assertNothingLost, assertUnchanged, degradedReasons, spanLine, startWire } from './support/wire.ts';

const skip = absent('java', 'javac');
const folder = keptFolder('java');
const sources = path.join(import.meta.dirname, 'programs', 'java');

before(async () => {
  if (skip !== false) return;
  const files = readdirSync(sources).map((file) => path.join(sources, file));
  const { code, stderr } = await run('javac', ['-d', folder.path, ...files], { timeoutMs: 170_000 });
  assert.equal(code, 0, stderr);
});
after(() => folder.remove());

/** What the client program sends: twice by HttpClient (asking for HTTP/2, and not), then by HttpURLConnection. */
const one = [
  'GET /echo 200 0',
  'HEAD /echo 200 0',
  'POST /echo 200 2097152',
  'POST /echo 200 2097152',
  'PUT /echo 200 2097152',
  'GET /chunked 200 0',
  'DELETE /none 404 0',
  ...Array.from({ length: 50 }, () => 'GET /echo 200 0'),
];
const old = [
  'GET /echo 200 0',
  'POST /echo 200 2097152',
  'POST /echo 200 2097152',
  'GET /none 404 0',
  'GET /chunked 200 0',
];
const expected = [...one, ...one, ...old];

test("Java's clients and server see through a sidecar what they see directly", { skip }, async (t) => {
  const port = await freePort();
  await startServer(t, port, 'java', ['-cp', folder.path, 'Server', String(port)]);
  const wire = await startWire(t, port);
  const client = (to: number) => run('java', ['-cp', folder.path, 'Client', String(to)]);
  const through = await client(wire.through);
  assertAlike(through, await client(wire.direct));
  assert.equal(through.code, 0, through.stderr);
  assert.match(through.stdout, /Upgrade: \[h2c\]/);
  await assertUnchanged(wire);
  const received = await wire.sink.received(expected.length);
  const lines = received.map((span) => spanLine(span).split(' ').slice(0, 4).join(' '));
  assert.deepEqual(lines.sort(), expected.sort());
  assert.deepEqual(await degradedReasons(wire), []);
  await assertNothingLost(wire);
});
