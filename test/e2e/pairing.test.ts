// Promise: every answer is put to the request it answers, also when the two do not simply take turns (R7).
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { eventually } from '../support/eventually.ts';
import { ourLines, withoutOurLines } from '../support/http-heads.ts';
import type { SinkSpan } from '../support/otlp-sink.ts';
import { connectRaw, startRawServer } from '../support/raw-tcp.ts';
import { startSidecarAndSink } from '../support/sidecar.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const pathAndStatus = (span: SinkSpan) => [span.attributes['url.path'], span.attributes['http.response.status_code']];

/** A client and a silent server with a sidecar between, the server's side of the connection in the test's hands. */
async function joined(t: TestContext) {
  const server = await startRawServer(t, {});
  const { sidecar, sink } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  const connection = await eventually('the connection at the server', () => server.connections[0]);
  const serverSaw = (text: string) => eventually(`the server sees ${text}`, () => connection.bytes().includes(text));
  return { client, connection, sidecar, sink, serverSaw };
}

test('an answer that comes before the body is sent keeps its place until both are through', async (t) => {
  const { client, connection, sink, serverSaw } = await joined(t);
  client.socket.write('POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\nhalf');
  await serverSaw('half');
  connection.socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n');
  await client.readUntil('202 Accepted');
  assert.equal(sink.spans.length, 0);
  client.socket.write(`rest${get('/next')}`);
  await serverSaw('GET /next');
  connection.socket.write(ok);
  await client.readUntil('ok');
  const spans = await sink.received(2);
  assert.deepEqual(spans.map(pathAndStatus), [
    ['/early', 202],
    ['/next', 200],
  ]);
});

test('answers that come in one piece are put to their requests in order', async (t) => {
  const { client, connection, sink, serverSaw } = await joined(t);
  client.socket.write(`HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n${get('/b')}${get('/c')}`);
  await serverSaw('GET /c');
  connection.socket.write(
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\n' +
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' +
      'HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n',
  );
  await client.readUntil('500 Oh\r\nContent-Length: 0\r\n\r\n');
  const spans = await sink.received(3);
  assert.deepEqual(spans.map(pathAndStatus), [
    ['/a', 404],
    ['/b', 200],
    ['/c', 500],
  ]);
  assert.deepEqual(
    spans.map((span) => span.statusCode === 2),
    [false, false, true],
  );
});

test('an answer nobody asked for passes and makes no span', async (t) => {
  const { client, connection, sidecar, sink } = await joined(t);
  const timeout = 'HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';
  connection.socket.end(timeout);
  assert.equal((await client.readToEnd()).toString(), timeout);
  client.socket.end();
  const other = await connectRaw(t, sidecar.inbound);
  other.socket.destroy();
  assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
  assert.equal(sink.spans.length, 0);
});

test('a connection without a byte makes no span', async (t) => {
  const { client, sidecar, sink } = await joined(t);
  client.socket.end();
  await client.readToEnd();
  await eventually('the connection is gone', async () =>
    sumOf(await sidecar.metrics(), 'tracecar_connections') === 0 ? true : undefined,
  );
  assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
  assert.equal(sink.spans.length, 0);
});

test('requests without an answer end with the connection, each as an error', async (t) => {
  const { client, connection, sink, serverSaw } = await joined(t);
  client.socket.write(get('/one') + get('/two') + get('/three'));
  await serverSaw('GET /three');
  connection.socket.end(ok);
  await client.readToEnd();
  client.socket.end();
  const spans = await sink.received(3);
  assert.deepEqual(spans.map(pathAndStatus), [
    ['/one', 200],
    ['/two', undefined],
    ['/three', undefined],
  ]);
  assert.deepEqual(
    spans.map((span) => span.statusCode),
    [0, 2, 2],
  );
});

test('requests pipelined behind Connection: close pass, and make no span', async (t) => {
  const { client, connection, sink, serverSaw } = await joined(t);
  const last = 'GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
  client.socket.write(last + get('/never'));
  await serverSaw('GET /never');
  const seen = connection.bytes();
  const headEnd = seen.indexOf('\r\n\r\n') + 4;
  assert.equal(withoutOurLines(seen.subarray(0, headEnd)).toString(), last);
  connection.socket.end(ok);
  await client.readToEnd();
  client.socket.end();
  await once(client.socket, 'close');
  const [span] = await sink.received(1);
  assert.deepEqual(pathAndStatus(span!), ['/last', 200]);
  assert.equal(sink.spans.length, 1);
});

test('after 2xx to CONNECT the connection is a tunnel: what looks like a request in it is left alone', async (t) => {
  const { client, connection, sink, serverSaw } = await joined(t);
  client.socket.write('CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n');
  await serverSaw('\r\n\r\n');
  connection.socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
  await client.readUntil('established\r\n\r\n');
  const before = connection.bytes().length;
  client.socket.write(get('/inside'));
  await serverSaw('/inside HTTP/1.1\r\nHost: h\r\n\r\n');
  assert.equal(connection.bytes().subarray(before).toString(), get('/inside'));
  client.socket.end();
  connection.socket.end();
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 200);
  assert.equal(span!.attributes['http.request.method'], 'CONNECT');
});

test('after a refused CONNECT or a refused upgrade the connection goes on as HTTP', async (t) => {
  const { client, connection, sink, serverSaw } = await joined(t);
  client.socket.write('GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await serverSaw('\r\n\r\n');
  connection.socket.write('HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n');
  await client.readUntil('426 No');
  const before = connection.bytes().length;
  client.socket.write(get('/plain'));
  await serverSaw('GET /plain');
  await eventually('the whole head', () => connection.bytes().subarray(before).includes('\r\n\r\n'));
  assert.match(ourLines(connection.bytes().subarray(before)).get('traceparent') ?? '', /^00-/);
  connection.socket.write(ok);
  const spans = await sink.received(2);
  assert.deepEqual(spans.map(pathAndStatus), [
    ['/ws', 426],
    ['/plain', 200],
  ]);
});

test('101 that nobody asked for turns the connection opaque', async (t) => {
  const { client, connection, sidecar, serverSaw } = await joined(t);
  client.socket.write(get('/a'));
  await serverSaw('\r\n\r\n');
  connection.socket.write('HTTP/1.1 101 Switching\r\n\r\n');
  await client.readUntil('101 Switching');
  const before = connection.bytes().length;
  client.socket.write(get('/b'));
  await serverSaw('/b HTTP/1.1\r\nHost: h\r\n\r\n');
  assert.equal(connection.bytes().subarray(before).toString(), get('/b'));
  assert.equal(sumOf(await sidecar.metrics(), 'tracecar_connections_degraded_total'), 1);
});

test('HTTP/2 with prior knowledge works through the sidecar', async (t) => {
  const body = randomBytes(300_000);
  const server = http2.createServer((request, response) => {
    request.resume().on('end', () => response.end(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { sidecar } = await startSidecarAndSink(t, (server.address() as AddressInfo).port);
  const session = http2.connect(`http://127.0.0.1:${sidecar.inbound}`);
  t.after(() => session.destroy());
  const answers = Array.from({ length: 10 }, async (_, i) => {
    const stream = session.request({ ':method': 'POST', ':path': `/${i}` });
    stream.end(body);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).equals(body);
  });
  assert.deepEqual(await Promise.all(answers), new Array(10).fill(true));
  // Before the sidecar goes: it would cut the session, which then is an error nobody waits for.
  session.destroy();
  await once(session, 'close');
});
