// Python's clients and servers through a sidecar: urllib, http.client, requests, httpx, asyncio; pipelined and early-answered.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startSidecarAndSink } from '../../support/sidecar.ts';
import {
  absent,
  absentModules,
  assertAlike,
  freePort,
  python,
  run,
  startServer,
  temporaryFolder,
} from './support/commands.ts';
import { assertNothingLost, assertUnchanged, degradedReasons, inOrder, spanLine, startWire } from './support/wire.ts';

const skip = absent('python3');
const programs = path.join(import.meta.dirname, 'programs');

async function startPython(t: TestContext, ...args: readonly string[]): Promise<number> {
  const port = await freePort();
  const [kind, ...rest] = args;
  const before = kind === undefined ? [] : [kind];
  await startServer(t, port, python, [path.join(programs, 'python_server.py'), ...before, String(port), ...rest]);
  return port;
}

const size = 2_097_152;
const pipelined = Array.from({ length: 200 }, (_, n) => (n % 3 === 0 ? `POST /${n} 200 ${n}` : `GET /${n} 200 0`));
const same = '/one-connection 200';

/** Each client, how many connections it makes, and the spans it must leave, in order. */
const clients: readonly (readonly [string, number, readonly string[]])[] = [
  ['urllib', 4, ['GET /get 200 0', `POST /post 200 ${size}`, 'PUT /put 200 10', 'HEAD /head 200 0']],
  [
    'http.client',
    1,
    [`GET ${same} 0`, `POST ${same} ${size}`, `POST ${same} ${size}`, `HEAD ${same} 0`, `DELETE ${same} 0`],
  ],
  ['pipeline', 1, pipelined],
  [
    'requests',
    1,
    ['GET /get 200 0', 'POST /form 200 3', 'POST /file 200 ', 'POST /chunked 200 500000', 'HEAD /head 200 0'],
  ],
  ['httpx', 1, ['GET /get 200 0', 'POST /json 200 ', `PUT /chunked 200 ${size}`, 'HEAD /h 200 0']],
];

for (const [name, connections, spans] of clients) {
  const missing = skip || (['requests', 'httpx'].includes(name) && absentModules(name));
  test(`${name} of Python sees through a sidecar what it sees directly`, { skip: missing }, async (t) => {
    const wire = await startWire(t, await startPython(t));
    const client = (port: number) => run(python, [path.join(programs, 'python_client.py'), name, String(port)]);
    const through = await client(wire.through);
    assertAlike(through, await client(wire.direct));
    assert.equal(through.code, 0, through.stderr);
    assert.equal(await assertUnchanged(wire), connections);
    const received = inOrder(await wire.sink.received(spans.length));
    assert.equal(received.length, spans.length);
    for (const [i, span] of spans.entries()) assert.equal(spanLine(received[i]!).slice(0, span.length), span);
    assert.deepEqual(await degradedReasons(wire), []);
    await assertNothingLost(wire);
  });
}

for (const status of ['413', '401']) {
  test(`a server of Python that answers ${status} and leaves is heard as often as directly`, {
    skip: skip || absent('curl'),
  }, async (t) => {
    const port = await startPython(t, 'rude', status);
    const { sidecar } = await startSidecarAndSink(t, port);
    const body = path.join(temporaryFolder(t, 'upload'), 'body');
    writeFileSync(body, randomBytes(8 << 20));
    const heard = async (to: number) => {
      let count = 0;
      for (let i = 0; i < 40; i++) {
        const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Expect:', '-T', body];
        if ((await run('curl', [...args, `http://127.0.0.1:${to}/upload`])).stdout === status) count++;
      }
      return count;
    };
    const direct = await heard(port);
    const through = await heard(sidecar.inbound);
    t.diagnostic(`${status}: ${direct} of 40 directly, ${through} of 40 through the sidecar`);
    assert.ok(direct > 0, 'the server answers early');
    // Directly some are lost to the reset: how many is chance.
    assert.ok(through >= direct - 2, `${through} of 40 through the sidecar, ${direct} directly`);
  });
}
