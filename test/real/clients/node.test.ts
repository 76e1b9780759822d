// Node's http client with its keep-alive agent, and fetch, through a sidecar to a server of node:http.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { startEcho } from './support/application.ts';
import { assertAlike, run } from './support/commands.ts';
import { assertNothingLost, assertUnchanged, degradedReasons, inOrder, spanLine, startWire } from './support/wire.ts';

const program = path.join(import.meta.dirname, 'programs', 'node-client.mjs');
const size = 2_097_152;

const clients: readonly (readonly [string, readonly string[]])[] = [
  [
    'http',
    [
      ...['GET /get 200 0', 'HEAD /head 200 0', `POST /length 200 ${size}`, `POST /chunked 200 ${size}`],
      ...[`PUT /expect 200 ${size}`, ...Array.from({ length: 20 }, (_, i) => `GET /queued/${i} 200 0`)],
    ],
  ],
  [
    'fetch',
    ['GET /get 200 0', 'POST /form 200 3', `PUT /length 200 ${size}`, `POST /chunked 200 ${size}`, 'HEAD /head 200 0'],
  ],
];

for (const [name, spans] of clients) {
  test(`${name} of Node keeps its connections and sees through a sidecar what it sees directly`, async (t) => {
    const application = await startEcho(t);
    const wire = await startWire(t, application.port);
    const client = (port: number) => run(process.execPath, [program, name, String(port)]);
    const through = await client(wire.through);
    assertAlike(through, await client(wire.direct));
    assert.equal(through.code, 0, through.stderr);
    const used = await assertUnchanged(wire);
    assert.equal(application.seen.length, 2 * used, 'the server saw as many connections as directly');
    if (name === 'http') assert.equal(used, 1);
    assert.deepEqual(application.seen.slice(0, used).flat().sort(), application.seen.slice(used).flat().sort());
    const received = inOrder(await wire.sink.received(spans.length));
    assert.equal(received.length, spans.length);
    for (const [i, span] of spans.entries()) assert.equal(spanLine(received[i]!).slice(0, span.length), span);
    assert.deepEqual(await degradedReasons(wire), []);
    await assertNothingLost(wire);
  });
}
