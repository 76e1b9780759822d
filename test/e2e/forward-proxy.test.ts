// Promise: a client that honours HTTP_PROXY works through `--outbound-proxy` as it does without, and is traced.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import { before, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { certificate } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { type OtlpSink, startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw } from '../support/raw-tcp.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';

const noCurl = spawnSync('curl', ['--version']).status === 0 ? false : 'curl is not installed';
const bodyBytes = 50_000_000;
let body: Buffer;
let digest = '';

before(() => {
  body = randomBytes(bodyBytes);
  digest = sha256(body);
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function startProxy(t: TestContext): Promise<{ sidecar: Sidecar; sink: OtlpSink; port: number }> {
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { otlp: sink.url, args: ['--outbound-proxy', '127.0.0.1:0'] });
  return { sidecar, sink, port: Number(String(sidecar.program.listening.outbound_proxy).split(':')[1]) };
}

/** Answers GET /big with the body, anything else with the request as JSON and its body's digest. */
async function serve(t: TestContext, server: http.Server | https.Server): Promise<number> {
  server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk));
    request.on('end', () => {
      if (request.url === '/big') response.end(body);
      else {
        const { method, url, headers } = request;
        response.end(
          JSON.stringify({ method, url, headers, digest: hash.digest('hex'), from: request.socket.remotePort }),
        );
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly digest: string;
  readonly from: number;
}

async function curl(proxy: number, ...args: string[]): Promise<string> {
  const all = ['-sS', '--max-time', '20', '-x', `http://127.0.0.1:${proxy}`, ...args];
  // What the environment says of proxies must not decide this.
  const env = { PATH: process.env.PATH };
  return (await promisify(execFile)('curl', all, { env, maxBuffer: 1 << 20 })).stdout;
}

test('curl: absolute form, several URLs on one connection, each traced', { skip: noCurl }, async (t) => {
  const { sink, port } = await startProxy(t);
  const [a, b] = [await serve(t, http.createServer()), await serve(t, http.createServer())];
  const urls = [`http://127.0.0.1:${a}/1?q=1`, `http://127.0.0.1:${a}/2`, `http://127.0.0.1:${b}/3`];
  const seen = (await curl(port, '-w', '\n', '-H', 'Proxy-Authorization: Basic eDp5', ...urls))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Seen);
  assert.deepEqual(
    seen.map(({ url, headers }) => [url, headers.host]),
    [
      ['/1?q=1', `127.0.0.1:${a}`],
      ['/2', `127.0.0.1:${a}`],
      ['/3', `127.0.0.1:${b}`],
    ],
  );
  assert.equal(seen[0]!.from, seen[1]!.from, 'the connection to the origin was kept');
  assert.equal(seen[0]!.headers['proxy-authorization'], undefined);
  assert.equal(seen[0]!.headers['proxy-connection'], undefined);
  assert.equal(seen[0]!.headers.via, undefined);
  const spans = await sink.received(3);
  for (const [i, { traceId, spanId }] of spans.entries()) {
    assert.equal(seen[i]!.headers.traceparent, `00-${traceId}-${spanId}-01`);
  }
});

test('curl: CONNECT with plain HTTP inside is traced, with TLS inside it is one span', { skip: noCurl }, async (t) => {
  const { sink, port } = await startProxy(t);
  const plain = await serve(t, http.createServer());
  const secure = await serve(t, https.createServer(certificate));
  const inside = JSON.parse(await curl(port, '-p', `http://127.0.0.1:${plain}/in`)) as Seen;
  assert.equal(inside.url, '/in');
  const [span] = await sink.received(1);
  assert.equal(inside.headers.traceparent, `00-${span!.traceId}-${span!.spanId}-01`);
  const encrypted = JSON.parse(await curl(port, '-k', `https://localhost:${secure}/secret`)) as Seen;
  assert.equal(encrypted.url, '/secret');
  assert.equal(encrypted.headers.traceparent, undefined);
  const [connection] = await sink.received(1, ({ attributes }) => JSON.stringify(attributes).includes('localhost'));
  assert.equal(connection!.kind, 'CLIENT');
  assert.doesNotMatch(JSON.stringify(connection!.attributes), /secret/);
});

test('curl: a server that is not there is a 502 that says so', { skip: noCurl }, async (t) => {
  const { port } = await startProxy(t);
  const answer = await curl(port, '-i', 'http://127.0.0.1:9/');
  assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
  assert.match(answer, /cannot connect to 127\.0\.0\.1:9: nobody listens there\n$/);
});

for (const way of ['in absolute form', 'through a CONNECT tunnel']) {
  test(`${way}, 50 MB come down and go up as they were`, async (t) => {
    const { sidecar, port } = await startProxy(t);
    const origin = await serve(t, http.createServer());
    const client = await connectRaw(t, port);
    if (way !== 'in absolute form') {
      client.socket.write(`CONNECT 127.0.0.1:${origin} HTTP/1.1\r\n\r\n`);
      await client.readUntil('\r\n\r\n');
    }
    const from = client.bytes().length;
    const base = way === 'in absolute form' ? `http://127.0.0.1:${origin}` : '';
    client.socket.write(`POST ${base}/up HTTP/1.1\r\nHost: h\r\nContent-Length: ${bodyBytes}\r\n\r\n`);
    if (!client.socket.write(body)) await once(client.socket, 'drain');
    await client.readUntil(digest, from);
    client.socket.destroy();
    assert.equal(sha256(await download(port, origin, way !== 'in absolute form')), digest);
    const memory = (await sidecar.metrics()).find(({ name }) => name === 'process_resident_memory_bytes');
    assert.ok(memory!.value < 160e6, `${memory!.value} bytes of memory after 100 MB of bodies`);
  });
}

/** GET /big with a client that takes its time at first. */
async function download(proxy: number, origin: number, tunnel: boolean): Promise<Buffer> {
  const base = tunnel ? '' : `http://127.0.0.1:${origin}`;
  const socket = net.connect(proxy, '127.0.0.1');
  const request = `GET ${base}/big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`;
  socket.write(tunnel ? `CONNECT 127.0.0.1:${origin} HTTP/1.1\r\n\r\n${request}` : request);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).subarray(-bodyBytes);
}

test('a server that reads nothing stops its client, and the sidecar holds little of what was sent', async (t) => {
  const { sidecar, port } = await startProxy(t);
  const deaf = net.createServer((socket) => socket.pause().on('error', () => {})).listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  t.after(() => deaf.close());
  const client = await connectRaw(t, port);
  const { port: origin } = deaf.address() as AddressInfo;
  client.socket.write(`POST http://127.0.0.1:${origin}/ HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n`);
  const chunk = Buffer.alloc(1 << 20);
  let stalled = false;
  while (!stalled && client.socket.bytesWritten < 100e6) {
    const flushed = new Promise<false>((resolve) => client.socket.write(chunk, () => resolve(false)));
    const silence = new Promise<true>((resolve) => setTimeout(resolve, 1_000, true));
    stalled = await Promise.race([flushed, silence]);
  }
  assert.ok(stalled, 'the client was stopped');
  const memory = (await sidecar.metrics()).find(({ name }) => name === 'process_resident_memory_bytes');
  assert.ok(memory!.value < 160e6, `${memory!.value} bytes of memory`);
  client.socket.destroy();
});

test('a client that reads nothing stops its server, and the sidecar holds little of what was sent', async (t) => {
  const { sidecar, port } = await startProxy(t);
  let stalled = false;
  const server = net.createServer(async (socket) => {
    socket.on('error', () => {});
    await once(socket, 'data');
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n');
    const chunk = Buffer.alloc(1 << 20);
    while (!stalled && socket.bytesWritten < 100e6) {
      const flushed = new Promise<false>((resolve) => socket.write(chunk, () => resolve(false)));
      stalled = await Promise.race([flushed, new Promise<true>((resolve) => setTimeout(resolve, 1_000, true))]);
    }
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const client = await connectRaw(t, port);
  client.socket.pause();
  const { port: origin } = server.address() as AddressInfo;
  client.socket.write(`GET http://127.0.0.1:${origin}/ HTTP/1.1\r\n\r\n`);
  await eventually('the server to be stopped', () => stalled, 30_000);
  const memory = (await sidecar.metrics()).find(({ name }) => name === 'process_resident_memory_bytes');
  assert.ok(memory!.value < 160e6, `${memory!.value} bytes of memory`);
});

test('a rolling stop: requests under way are answered, then the proxy ends with every span delivered', async (t) => {
  const { sidecar, sink, port } = await startProxy(t);
  let asked: http.ServerResponse | undefined;
  const server = http.createServer((_, response) => {
    asked = response;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const client = await connectRaw(t, port);
  const { port: origin } = server.address() as AddressInfo;
  client.socket.write(`GET http://127.0.0.1:${origin}/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
  const response = await eventually('the request at the origin', () => asked);
  const stopped = sidecar.program.stop();
  response.end('late');
  await client.readUntil('late');
  client.socket.end();
  assert.deepEqual(await stopped, { code: 0, signal: null });
  assert.equal(sink.spans.length, 1);
});
