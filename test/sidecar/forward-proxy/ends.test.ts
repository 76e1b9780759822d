// The forward proxy and how connections end: early answers, resets, half-closes, upgrades, answers nobody asked for.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import test from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { sendReset } from '../../support/raw-tcp.ts';
import { echoPaths, startOrigin, startProxy } from './proxy.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

const early = 'HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig';

for (const [how, close] of [
  ['closed', (socket) => socket.end(early, () => socket.destroy())],
  ['reset the connection', (socket) => socket.write(early, () => sendReset(socket))],
] as const satisfies readonly [string, (socket: Socket) => void][]) {
  test(`an early answer reaches a client that is busy sending, though the origin has ${how}`, async (t) => {
    const proxy = await startProxy(t);
    const origin = await startOrigin(t, (socket) => {
      if (!socket.destroyed) close(socket);
    });
    const client = await proxy.send(`POST http://${origin.authority}/up HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n`);
    client.socket.on('error', () => {});
    // Nothing is read before all is sent: a reset meanwhile would take the answer away.
    client.socket.pause();
    const chunk = Buffer.alloc(1 << 20);
    for (let sent = 0; sent < 16 && client.socket.writable; sent++) {
      if (!client.socket.write(chunk)) await Promise.race([once(client.socket, 'drain'), once(client.socket, 'close')]);
      if (sent === 8) await eventually('the origin to have closed', () => origin.sockets[0]!.destroyed);
    }
    client.socket.resume();
    assert.equal((await client.readUntil('big')).toString(), early);
    client.socket.destroy();
    const [span] = await proxy.sink.received(1);
    assert.equal(span!.attributes['http.response.status_code'], 413);
  });
}

test('100 Continue comes before the body is sent, and the body after it', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, (socket, text) => {
    if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    else if (text.endsWith('hello')) socket.write(ok);
  });
  const client = await proxy.send(
    `POST http://${origin.authority}/ HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
  );
  await client.readUntil('100 Continue\r\n\r\n');
  client.socket.write('hello');
  await client.readUntil('ok');
});

test('an answer that lasts until the origin closes ends the client’s connection, too', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'));
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.0\r\n\r\n`);
  assert.equal((await client.readToEnd()).toString(), 'HTTP/1.1 200 OK\r\n\r\nuntil the end');
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.statusCode, 0);
});

test('an origin that closes without an answer: FIN for FIN, and the span is an error', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, (socket) => socket.end());
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.1\r\n\r\n`);
  assert.equal((await client.readToEnd()).length, 0);
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.attributes.response_flags, 'UC');
  assert.equal(span!.attributes['error.type'], 'no_response');
});

test('a reset by the origin in the middle of an answer is a reset for the client', async (t) => {
  const proxy = await startProxy(t);
  const partial = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf';
  const origin = await startOrigin(t, (socket) => socket.write(partial));
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.1\r\n\r\n`);
  await client.read(partial.length);
  sendReset(origin.sockets[0]!);
  assert.equal(await client.closed, 'ECONNRESET');
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.attributes['error.type'], 'connection_reset');
});

test('a reset by the client is a reset for the origin', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t);
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.1\r\n\r\n`);
  await origin.saw('\r\n\r\n');
  const reset = once(origin.sockets[0]!, 'error');
  sendReset(client.socket);
  const [error] = (await reset) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.attributes.response_flags, 'DC');
});

test('a client that has closed its side still gets its answer', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, (socket) => {
    socket.prependOnceListener('end', () => socket.end(ok));
  });
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.1\r\n\r\n`);
  await origin.saw('\r\n\r\n');
  client.socket.end();
  assert.equal((await client.readToEnd()).toString(), ok);
});

test('a request that waits goes on though the origin before it closes its connection', async (t) => {
  const proxy = await startProxy(t);
  const a = await startOrigin(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n');
    socket.end('a');
  });
  const b = await startOrigin(t, echoPaths('b'));
  const client = await proxy.send(
    `GET http://${a.authority}/ HTTP/1.1\r\n\r\nGET http://${b.authority}/2 HTTP/1.1\r\n\r\n`,
  );
  await client.readUntil('b/2');
});

test('an idle origin that closes closes the client’s connection, as it would directly', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, (socket) => socket.write(ok));
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.1\r\n\r\n`);
  await client.readUntil('ok');
  origin.sockets[0]!.end();
  await client.readToEnd();
});

test('bytes that nobody asked for never become the answer of the next origin', async (t) => {
  const proxy = await startProxy(t);
  const forged = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';
  const evil = await startOrigin(t, (socket) => socket.write(ok + forged));
  const good = await startOrigin(t, echoPaths('good'));
  const client = await proxy.send(`GET http://${evil.authority}/ HTTP/1.1\r\n\r\n`);
  client.socket.write(`GET http://${good.authority}/1 HTTP/1.1\r\n\r\n`);
  const got = (await client.readToEnd()).toString();
  assert.doesNotMatch(got, /forged/);
  assert.ok(got === ok || got === `${ok}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ngood/1`, got);
  assert.equal(await proxy.metric('tracecar_unsolicited_responses_total'), 1);
});

test('an answer that can be read in two ways passes as it is, and no other origin’s follows it', async (t) => {
  const proxy = await startProxy(t);
  const doubtful = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n';
  const a = await startOrigin(t, (socket) => socket.write(doubtful));
  const b = await startOrigin(t, echoPaths('b'));
  const client = await proxy.send(`GET http://${a.authority}/ HTTP/1.1\r\n\r\n`);
  await client.read(doubtful.length);
  client.socket.write(`GET http://${b.authority}/ HTTP/1.1\r\n\r\n`);
  assert.equal((await client.readToEnd()).toString(), doubtful);
  assert.equal(b.sockets.length, 0);
  const reason = 'response_content_length_and_chunked';
  assert.equal(await proxy.metric('tracecar_connections_degraded_total', { reason }), 1);
});

test('an upgrade is a tunnel once it is granted; bytes that came early wait for that', async (t) => {
  const proxy = await startProxy(t);
  const granted = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n';
  const hints = 'HTTP/1.1 103 Early Hints\r\n\r\n';
  const origin = await startOrigin(t, (socket, text) => {
    if (text.endsWith('\r\n\r\n')) socket.write(hints);
    else if (text.endsWith('\0ping')) socket.write('\0pong');
  });
  const head = `GET http://${origin.authority}/ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`;
  const client = await proxy.send(`${head}\0ping`);
  await client.read(hints.length);
  assert.doesNotMatch(origin.received(), /\0/);
  origin.sockets[0]!.write(`${granted}hello`);
  assert.equal((await client.readUntil('\0pong')).toString(), `${hints}${granted}hello\0pong`);
  assert.match(origin.received(), /Upgrade: x\r\n\r\n\0ping$/);
  client.socket.end();
  await eventually('the origin to see the end', () => origin.sockets[0]!.readableEnded);
  const [span] = await proxy.sink.received(1, ({ attributes }) => attributes['http.response.status_code'] === 101);
  assert.equal(span!.attributes['http.request.body.size'], 5);
});

test('an upgrade that is refused leaves HTTP as it was', async (t) => {
  const proxy = await startProxy(t);
  const [a, b] = [await startOrigin(t, echoPaths('a')), await startOrigin(t, echoPaths('b'))];
  const upgrade = 'Connection: Upgrade\r\nUpgrade: x\r\n\r\n';
  const client = await proxy.send(
    `GET http://${a.authority}/1 HTTP/1.1\r\n${upgrade}GET http://${a.authority}/2 HTTP/1.1\r\n\r\nGET http://${b.authority}/3 HTTP/1.1\r\n\r\n`,
  );
  await client.readUntil('b/3');
  const spans = await proxy.sink.received(3);
  assert.deepEqual(
    spans.map(({ attributes }) => attributes['url.path']),
    ['/1', '/2', '/3'],
  );
});

test('a connection that is silent for the idle time-out ends, and its open request is an error', async (t) => {
  const proxy = await startProxy(t, { 'idle-timeout': '100ms' });
  const origin = await startOrigin(t);
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.1\r\n\r\n`);
  await client.closed;
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.attributes['error.type'], 'idle_timeout');
  assert.equal(await proxy.metric('tracecar_connections_idle_timeout_total', { direction: 'outbound' }), 1);
});
