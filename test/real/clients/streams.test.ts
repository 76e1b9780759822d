// Streams through a sidecar: events arrive one by one, and WebSocket messages of every size come back as they went.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { absent, absentModules, assertAlike, find, freePort, python, run, startServer } from './support/commands.ts';
import { assertUnchanged, degradedReasons, spanLine, startWire } from './support/wire.ts';

const programs = path.join(import.meta.dirname, 'programs');
const events = 200;

/** A server of events that sends the next one only when told: what is kept back anywhere stops the stream. */
async function startEvents(t: TestContext) {
  const streams: http.ServerResponse[] = [];
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    response.flushHeaders();
    streams.push(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return { port: (server.address() as AddressInfo).port, streams };
}

/** Has curl read a stream of events, each sent when the one before has arrived; resolves with the milliseconds each took. */
async function readEvents(t: TestContext, port: number, streams: readonly http.ServerResponse[]): Promise<number[]> {
  const before = streams.length;
  const curl = spawn(find('curl') ?? 'curl', ['-sN', `http://127.0.0.1:${port}/events`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => curl.kill('SIGKILL'));
  const lines = createInterface({ input: curl.stdout })[Symbol.asyncIterator]();
  while (streams.length === before) await new Promise(setImmediate);
  const stream = streams[before]!;
  const times: number[] = [];
  for (let i = 0; i < events; i++) {
    const startMs = performance.now();
    stream.write(`id: ${i}\ndata: event ${i}\n\n`);
    const got = [await lines.next(), await lines.next(), await lines.next()].map(({ value }) => value);
    times.push(performance.now() - startMs);
    assert.deepEqual(got, [`id: ${i}`, `data: event ${i}`, '']);
  }
  stream.end();
  assert.equal((await lines.next()).done, true);
  return times.sort((a, b) => a - b);
}

test('server-sent events arrive one by one, none held back', { skip: absent('curl') }, async (t) => {
  const { port, streams } = await startEvents(t);
  const wire = await startWire(t, port);
  const through = await readEvents(t, wire.through, streams);
  const direct = await readEvents(t, port, streams);
  const shown = (times: readonly number[]) =>
    `${times[events >> 1]!.toFixed(2)} (p99 ${times[(events * 99) / 100]!.toFixed(2)})`;
  t.diagnostic(`ms from server to client: ${shown(direct)} directly, ${shown(through)} through`);
  assert.ok(through[events >> 1]! < direct[events >> 1]! + 5, 'the median event takes as long as directly');
  assert.equal(await assertUnchanged(wire), 1);
  const [span] = await wire.sink.received(1);
  assert.match(spanLine(span!), /^GET \/events 200 0 \d+$/);
  assert.equal(span?.attributes['tracecar.messages_from_server'], events);
});

/** A WebSocket server of the `ws` package that sends back what it gets. */
async function startWsEcho(t: TestContext): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: true });
  await once(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const websockets = absent('python3') || absentModules('websockets');

async function assertEchoAlike(t: TestContext, port: number, client: (port: number) => ReturnType<typeof run>) {
  const wire = await startWire(t, port);
  const through = await client(wire.through);
  assertAlike(through, await client(wire.direct));
  assert.equal(through.code, 0, through.stderr);
  assert.match(through.stdout, /3145728 bytes back\n.*closed 4001 enough\n$/s);
  assert.equal(await assertUnchanged(wire), 1);
  assert.deepEqual(await degradedReasons(wire), []);
  const [span] = await wire.sink.received(1);
  assert.match(spanLine(span!), /^GET \/echo 101 \d+ \d+$/);
  // Seven sizes as text and as bytes, and one in three parts.
  assert.equal(span?.attributes['tracecar.messages_from_client'], 15);
  assert.equal(span?.attributes['tracecar.messages_from_server'], 15);
}

const pythonClient = (port: number) => run(python, [path.join(programs, 'websocket_client.py'), String(port)]);
const nodeClient = (port: number) => run(process.execPath, [path.join(programs, 'websocket-client.mjs'), String(port)]);

test('the websockets library of Python talks to ws of Node', { skip: websockets }, async (t) => {
  await assertEchoAlike(t, await startWsEcho(t), pythonClient);
});

test('ws of Node talks to the websockets library of Python', { skip: websockets }, async (t) => {
  const port = await freePort();
  await startServer(t, port, python, [path.join(programs, 'websocket_server.py'), String(port)]);
  await assertEchoAlike(t, port, nodeClient);
});
