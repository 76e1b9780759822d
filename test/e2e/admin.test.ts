// Promise: the admin pages can change what runs, from this machine only.
import assert from 'node:assert/strict';
import http from 'node:http';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { fetchText } from '../../src/cli/demo/fetch-text.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar } from '../support/sidecar.ts';
import { messages } from '../support/workers.ts';

const request = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n';
const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');

async function start(t: TestContext, args: readonly string[] = []) {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(ok) });
  const sink = await startOtlpSink(t);
  const env = { OTEL_BSP_SCHEDULE_DELAY: '60000' };
  return { sink, sidecar: await startSidecar(t, { inbound: server.port, otlp: sink.url, args, env }) };
}

function send(method: string, url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = http.request(url, { method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.on('error', reject).end();
  });
}

test('POST /logging changes the level at once', async (t) => {
  const { sidecar } = await start(t);
  const answer = await send('POST', `http://${sidecar.admin}/logging?level=error`);
  assert.deepEqual([answer.status, JSON.parse(answer.body)], [200, { level: 'error' }]);
  assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
  // "draining" and "stopped" are of level info.
  assert.equal(messages(sidecar.program).at(-1), 'listening');
});

for (const query of ['?level=loud', '', '?level=']) {
  test(`POST /logging${query} is 400 and names the levels`, async (t) => {
    const { sidecar } = await start(t);
    const answer = await send('POST', `http://${sidecar.admin}/logging${query}`);
    assert.equal(answer.status, 400);
    assert.match(answer.body, /trace\|debug\|info\|warn\|error/);
    assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
    assert.equal(messages(sidecar.program).at(-1), 'stopped');
  });
}

test('POST /drain answers at once, may be repeated, and connections are still accepted', async (t) => {
  const { sidecar } = await start(t);
  const held = await connectRaw(t, sidecar.inbound);
  held.socket.write(request);
  await held.read(ok.length);
  for (let i = 0; i < 2; i++) {
    const answer = await send('POST', `http://${sidecar.admin}/drain`);
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body), { state: 'draining', ready: false, connections: 1 });
    assert.equal((await fetchText(`http://${sidecar.admin}/ready`)).status, 503);
  }
  const late = await connectRaw(t, sidecar.inbound);
  late.socket.write(request);
  assert.deepEqual(await late.read(ok.length), ok);
  held.socket.write(request);
  assert.equal((await held.read(2 * ok.length)).length, 2 * ok.length);
});

test('POST /quitquitquit drains, flushes and exits 0', async (t) => {
  const { sidecar, sink } = await start(t);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.read(ok.length);
  const answer = await send('POST', `http://${sidecar.admin}/quitquitquit`);
  assert.deepEqual([answer.status, JSON.parse(answer.body)], [200, { state: 'quitting', connections: 1 }]);
  client.socket.write(request);
  await client.read(2 * ok.length);
  client.socket.destroy();
  assert.deepEqual(await sidecar.program.exited, { code: 0, signal: null });
  assert.equal(sink.spans.length, 2);
});

test('GET on what changes something is 405 and changes nothing', async (t) => {
  const { sidecar } = await start(t);
  for (const path of ['/logging?level=silent', '/drain', '/quitquitquit']) {
    assert.equal((await send('GET', `http://${sidecar.admin}${path}`)).status, 405);
  }
  assert.equal((await fetchText(`http://${sidecar.admin}/ready`)).status, 200);
});

const outside = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

test('changes asked for over another address than loopback are 403, pages are not', {
  skip: outside === undefined && 'this machine has no address but loopback',
}, async (t) => {
  const { sidecar } = await start(t, ['--admin', '0.0.0.0:0']);
  const port = sidecar.admin.split(':').at(-1);
  for (const path of ['/logging?level=silent', '/drain', '/quitquitquit']) {
    assert.equal((await send('POST', `http://${outside}:${port}${path}`)).status, 403);
  }
  assert.equal((await send('GET', `http://${outside}:${port}/ready`)).status, 200);
  assert.equal((await send('POST', `http://127.0.0.1:${port}/drain`)).status, 200);
});
