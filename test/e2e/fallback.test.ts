// Promise: on a Node that does not show its inner bindings, traffic and spans are the same, only dearer.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar } from '../support/sidecar.ts';

/** Run before the sidecar: takes away `process.binding`, and the symbols behind which sockets keep their read buffer. */
const hideInternals = `data:text/javascript,${encodeURIComponent(`
  process.binding = undefined;
  const symbolsOf = Object.getOwnPropertySymbols;
  Object.getOwnPropertySymbols = (value) =>
    symbolsOf(value).filter((symbol) => !['kBuffer', 'kBufferCb'].includes(symbol.description));
`)}`;

async function startPlainSidecar(t: TestContext, inbound: number) {
  const sink = await startOtlpSink(t);
  const env = { NODE_OPTIONS: `--import ${hideInternals}` };
  return { sink, sidecar: await startSidecar(t, { inbound, otlp: sink.url, env }) };
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

test('large bodies pass both ways, and each request is a span', async (t) => {
  const download = randomBytes(4 << 20);
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('x-digest', digest(Buffer.concat(chunks)));
      response.end(download);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { sidecar, sink } = await startPlainSidecar(t, (server.address() as AddressInfo).port);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  for (let i = 0; i < 3; i++) {
    const upload = randomBytes(3_000_001);
    const request = http.request({ port: sidecar.inbound, host: '127.0.0.1', method: 'POST', path: `/${i}`, agent });
    request.end(upload);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    assert.equal(response.headers['x-digest'], digest(upload));
    assert.equal(digest(Buffer.concat(chunks)), digest(download));
  }
  const spans = await sink.received(3);
  assert.deepEqual(
    spans.map(({ attributes }) => [attributes['url.path'], attributes.request_size, attributes.response_size]).sort(),
    ['/0', '/1', '/2'].map((path) => [path, '3000001', String(4 << 20)]),
  );
});

test('an early answer is seen though the upload cannot go on', async (t) => {
  const server = await startRawServer(t, {
    onData({ socket }) {
      socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      socket.destroySoon();
    },
  });
  const { sidecar } = await startPlainSidecar(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.on('error', () => {});
  client.socket.write(`POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: ${8 << 20}\r\n\r\n`);
  client.socket.write(Buffer.alloc(8 << 20));
  assert.match((await client.readUntil('\r\n\r\n')).toString('latin1'), /^HTTP\/1\.1 413 /);
});
