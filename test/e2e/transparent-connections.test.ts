// Promise: a connection through an inbound sidecar lives, speaks and ends as it would without it.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { withoutOurLines } from '../support/http-heads.ts';
import { connectRaw, startRawServer, writeInPieces } from '../support/raw-tcp.ts';
import { startSidecarAndSink } from '../support/sidecar.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

test('a WebSocket echoes messages of every length class through the sidecar', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  await once(server, 'listening');
  server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  const { sink, sidecar } = await startSidecarAndSink(t, (server.address() as AddressInfo).port);
  const socket = new WebSocket(`ws://127.0.0.1:${sidecar.inbound}/echo`);
  await once(socket, 'open');
  for (const length of [0, 1, 125, 126, 65535, 65536, 300_000]) {
    const message = randomBytes(length);
    socket.send(message);
    const [echo] = (await once(socket, 'message')) as [Buffer];
    assert.ok(echo.equals(message), `the echo of ${length} bytes differs`);
  }
  socket.ping('still there?');
  const [pong] = (await once(socket, 'pong')) as [Buffer];
  assert.equal(pong.toString(), 'still there?');
  socket.close(4001, 'enough');
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  assert.deepEqual([code, reason.toString()], [4001, 'enough']);
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 101);
  assert.notEqual(span!.statusCode, 2);
});

test('an early 413 during an 8 MB upload is seen 40 times of 40', async (t) => {
  const refusal = latin1('HTTP/1.1 413 Too Large\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoo big');
  const server = await startRawServer(t, {
    onConnect({ socket }) {
      socket.once('data', () => {
        socket.pause();
        socket.end(refusal);
        setTimeout(() => socket.destroy(), 60);
      });
    },
  });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  const head = latin1(`POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: ${8 << 20}\r\n\r\n`);
  const piece = Buffer.alloc(1 << 16, 'x');
  const upload = async (port: number) => {
    const client = await connectRaw(t, port);
    client.socket.write(head);
    let left = 128;
    const pump = () => {
      while (left > 0 && !client.socket.destroyed && client.socket.write(piece)) left--;
    };
    client.socket.on('drain', pump);
    pump();
    const answer = await client.read(refusal.length).catch(() => Buffer.alloc(0));
    client.socket.destroy();
    return answer.equals(refusal);
  };
  for (const port of [server.port, sidecar.inbound]) {
    let seen = 0;
    for (let i = 0; i < 40; i++) if (await upload(port)) seen++;
    assert.equal(seen, 40, port === server.port ? 'directly' : 'through the sidecar');
  }
  const spans = await sink.received(40);
  assert.deepEqual(new Set(spans.map((span) => span.attributes['http.response.status_code'])), new Set([413]));
});

test('a client that half-closes after its request still gets the whole answer', async (t) => {
  const request = latin1('POST /done HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi');
  const answer = Buffer.concat([latin1('HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n'), randomBytes(500_000)]);
  const server = await startRawServer(t, { onEnd: ({ socket }) => socket.end(answer) });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.end(request);
  assert.ok((await client.readToEnd()).equals(answer));
  assert.ok(withoutOurLines(server.connections[0]!.bytes()).equals(request));
  await sink.received(1);
});

test('a server that half-closes after its answer still gets the rest of the request', async (t) => {
  const head = latin1('POST /rest HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n');
  const body = randomBytes(300_000);
  const answer = latin1('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const server = await startRawServer(t, { onConnect: ({ socket }) => socket.end(answer), onEnd() {} });
  const { sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(head);
  assert.ok((await client.readToEnd()).equals(answer));
  client.socket.end(body);
  await server.connections[0]!.ended;
  const seen = server.connections[0]!.bytes();
  assert.equal(
    createHash('sha1').update(seen.subarray(-body.length)).digest('hex'),
    createHash('sha1').update(body).digest('hex'),
  );
});

test('a server that speaks first is heard before the client says anything', async (t) => {
  const greeting = latin1('220 mail.example ESMTP\r\n');
  const server = await startRawServer(t, {
    onConnect: ({ socket }) => socket.write(greeting),
    onData: ({ socket }) => socket.write('250 hello\r\n'),
  });
  const { sidecar } = await startSidecarAndSink(t, server.port);
  const startMs = performance.now();
  const client = await connectRaw(t, sidecar.inbound);
  assert.deepEqual(await client.read(greeting.length), greeting);
  // A detection that waits for the client gives up after seconds, not before.
  assert.ok(performance.now() - startMs < 1_500, 'the greeting was held back');
  client.socket.write('EHLO x\r\n');
  await client.readUntil('250 hello\r\n');
  assert.equal(server.connections[0]!.bytes().toString('latin1'), 'EHLO x\r\n');
});

test('bytes that are no HTTP pass unchanged both ways', async (t) => {
  const sent = Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]), randomBytes(200_000)]);
  const answer = randomBytes(200_000);
  const server = await startRawServer(t, {
    onData({ socket, bytes }) {
      if (bytes().length === sent.length) socket.end(answer);
    },
  });
  const { sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  await writeInPieces(client.socket, sent, [1, 5, 100, 60_000]);
  assert.ok((await client.readToEnd()).equals(answer));
  assert.ok(server.connections[0]!.bytes().equals(sent));
});
