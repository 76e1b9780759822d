// CONNECT through the forward proxy: a tunnel in which what is HTTP is traced, and what is not passes untouched.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import tls from 'node:tls';
import { certificate } from '../../support/certificate.ts';
import { eventually } from '../../support/eventually.ts';
import { echoPaths, startOrigin, startProxy } from './proxy.ts';

const established = 'HTTP/1.1 200 Connection Established\r\n\r\n';

test('HTTP in a tunnel is traced, its targets as they came', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, echoPaths());
  const client = await proxy.send(`CONNECT ${origin.authority} HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`);
  await client.readUntil(established);
  client.socket.write('GET /in HTTP/1.1\r\nHost: h\r\n\r\n');
  await client.readUntil('/in');
  client.socket.write('GET /again HTTP/1.1\r\nHost: h\r\n\r\n');
  await client.readUntil('/again');
  assert.equal(origin.received(), 'GET /in HTTP/1.1\r\nHost: h\r\n\r\nGET /again HTTP/1.1\r\nHost: h\r\n\r\n');
  const spans = await proxy.sink.received(2);
  assert.deepEqual(
    spans.map(({ attributes }) => attributes['url.path']),
    ['/in', '/again'],
  );
  assert.equal(proxy.sink.spans.length, 2, 'CONNECT itself makes no span');
});

test('bytes that come with the CONNECT are kept until the tunnel stands', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, echoPaths());
  const client = await proxy.send(`CONNECT ${origin.authority} HTTP/1.1\r\n\r\nGET /early HTTP/1.1\r\nHost: h\r\n\r\n`);
  const got = (await client.readUntil('/early')).toString();
  assert.ok(got.startsWith(`${established}HTTP/1.1 200 OK`));
});

test('a server that speaks first is heard, and half-closes pass both ways', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, (socket, text) => {
    if (text === 'HELO\r\n') socket.write('250 hi\r\n');
  });
  const client = await proxy.send(`CONNECT ${origin.authority} HTTP/1.1\r\n\r\n`);
  await client.readUntil(established);
  const [socket] = await eventually('the origin to be reached', () => origin.sockets.length > 0 && origin.sockets);
  socket!.write('220 mail\r\n');
  await client.readUntil('220 mail\r\n');
  client.socket.end('HELO\r\n');
  assert.equal((await client.readToEnd()).toString(), `${established}220 mail\r\n250 hi\r\n`);
  assert.equal(origin.received(), 'HELO\r\n');
});

test('TLS in a tunnel is between its two ends, and one span says whose it was', async (t) => {
  const proxy = await startProxy(t);
  const server = tls.createServer(certificate, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const client = await proxy.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`);
  await client.readUntil(established);
  client.socket.removeAllListeners('data');
  const secure = tls.connect({ socket: client.socket, servername: 'shop.example', rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  secure.write('over the wire');
  const [echo] = (await once(secure, 'data')) as [Buffer];
  assert.equal(echo.toString(), 'over the wire');
  secure.end();
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.kind, 'CLIENT');
  assert.match(JSON.stringify(span!.attributes), /shop\.example/);
  assert.equal(span!.attributes['server.port'] ?? span!.attributes['network.peer.port'], port);
});

test('several requests, then a CONNECT on the same connection', async (t) => {
  const proxy = await startProxy(t);
  const [a, b] = [await startOrigin(t, echoPaths('a')), await startOrigin(t, echoPaths('b'))];
  const client = await proxy.send(
    `GET http://${a.authority}/1 HTTP/1.1\r\n\r\nCONNECT ${b.authority} HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n`,
  );
  const got = (await client.readUntil('b/2')).toString();
  assert.match(got, /a\/1HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
});

test('large bodies pass a tunnel both ways, unchanged', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t);
  const client = await proxy.send(`CONNECT ${origin.authority} HTTP/1.1\r\n\r\n`);
  await client.readUntil(established);
  const [socket] = await eventually('the origin to be reached', () => origin.sockets.length > 0 && origin.sockets);
  const text = Array.from({ length: 200_000 }, (_, i) => `${i}\0`).join('');
  client.socket.write(text, 'latin1');
  socket!.write(text, 'latin1');
  await client.read(established.length + text.length);
  assert.equal(client.bytes().subarray(established.length).toString('latin1'), text);
  await eventually('all bytes at the origin', () => origin.received() === text);
});
