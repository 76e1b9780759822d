// The forward proxy and its requests: what origins and clients see, byte for byte, and in what order.
import assert from 'node:assert/strict';
import test from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { echoPaths, startOrigin, startProxy } from './proxy.ts';

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('the head goes on in origin-form, with the Host of its target and without what was meant for the proxy', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, echoPaths());
  const client = await proxy.send(
    `GET http://user:secret@${origin.authority}/a?b=c HTTP/1.1\r\nX-First: 1\r\nhOST:  elsewhere.example \r\nProxy-Connection: Keep-Alive\r\nAccept: */*\r\nproxy-authorization: Basic eDp5\r\nX-Last: 2\r\n\r\n`,
  );
  await client.readUntil('/a?b=c');
  assert.equal(
    origin.received(),
    `GET /a?b=c HTTP/1.1\r\nX-First: 1\r\nhOST:  ${origin.authority} \r\nAccept: */*\r\nX-Last: 2\r\n\r\n`,
  );
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.kind, 'CLIENT');
  assert.equal(span!.name, `${origin.authority}/*`);
  assert.equal(span!.attributes['url.path'], '/a');
  assert.equal(span!.attributes['server.port'], origin.port);
  assert.equal(span!.attributes.upstream_cluster, `outbound|${origin.port}||127.0.0.1`);
  assert.equal(span!.attributes['http.response.status_code'], 200);
  assert.doesNotMatch(JSON.stringify(span!.attributes), /secret/);
});

test('a request without a Host gets one, and OPTIONS of a whole server an asterisk', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, echoPaths());
  const client = await proxy.send(
    `GET http://${origin.authority} HTTP/1.1\r\n\r\nOPTIONS http://${origin.authority} HTTP/1.1\r\nProxy-Connection: x\r\n\r\n`,
  );
  await client.readUntil('\r\n\r\n*');
  const host = `Host: ${origin.authority}\r\n`;
  assert.equal(origin.received(), `GET / HTTP/1.1\r\n${host}\r\nOPTIONS * HTTP/1.1\r\n${host}\r\n`);
});

test('what an origin says to the client of a proxy does not reach it; every other byte of the answer does', async (t) => {
  const proxy = await startProxy(t);
  const head =
    'HTTP/1.1 407 No\r\nX-A: 1\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 2\r\nproxy-connection: keep-alive\r\nX-B:2\r\n\r\n';
  const origin = await startOrigin(t, (socket) =>
    socket.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${head}no`),
  );
  const client = await proxy.send(`GET http://${origin.authority}/ HTTP/1.1\r\n\r\n`);
  const answer = (await client.readUntil('\r\n\r\nno')).toString();
  assert.equal(
    answer,
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 407 No\r\nX-A: 1\r\nContent-Length: 2\r\nX-B:2\r\n\r\nno',
  );
});

test('cut at any byte, requests and answers are the same', async (t) => {
  const proxy = await startProxy(t);
  let cutAnswer = 0;
  const answer =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nProxy-Authenticate: x\r\nTrailer: X-T\r\n\r\n3;e=1\r\nabc\r\n0\r\nX-T: 1\r\n\r\nHTTP/1.1 204 No\r\n\r\n';
  const origin = await startOrigin(t, (socket, text) => {
    if (!text.endsWith('/b HTTP/1.1\r\n') && !text.includes(' /b ')) return;
    if (!text.endsWith('\r\n\r\n')) return;
    socket.write(answer.slice(0, cutAnswer), 'latin1', () =>
      setImmediate(() => socket.write(answer.slice(cutAnswer), 'latin1')),
    );
  });
  const target = `http://${origin.authority}`;
  const body = '5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n';
  const request = `\r\nPOST ${target}/a HTTP/1.1\r\nHost: x\r\nProxy-Connection: k\r\nTransfer-Encoding: chunked\r\n\r\n${body}GET ${target}/b HTTP/1.1\r\nHost: x\r\n\r\n`;
  const expected = `POST /a HTTP/1.1\r\nHost: ${origin.authority}\r\nTransfer-Encoding: chunked\r\n\r\n${body}GET /b HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`;
  for (let cut = 1; cut < request.length; cut++) {
    cutAnswer = cut % answer.length;
    const client = await proxy.send(request.slice(0, cut));
    await new Promise(setImmediate);
    client.socket.write(request.slice(cut), 'latin1');
    const got = (await client.readUntil('204 No\r\n\r\n')).toString('latin1');
    assert.equal(got, answer.replace('Proxy-Authenticate: x\r\n', ''), `answer, cut ${cut}`);
    assert.equal(origin.received(cut - 1), expected, `request, cut ${cut}`);
    client.socket.destroy();
  }
  const spans = await proxy.sink.received(2 * (request.length - 1));
  assert.ok(spans.every(({ statusCode }) => statusCode !== 2));
});

test('a connection is kept for the same origin and given up for another, only after its answers', async (t) => {
  const proxy = await startProxy(t);
  const a = await startOrigin(t, echoPaths('a'));
  const b = await startOrigin(t, echoPaths('b'));
  const client = await proxy.send(
    ['/0', '/1', '/hold'].map((path) => `GET http://${a.authority}${path} HTTP/1.1\r\n\r\n`).join(''),
  );
  await client.readUntil('a/1');
  await a.saw('/hold');
  client.socket.write(`GET http://${b.authority}/3 HTTP/1.1\r\n\r\nGET http://${a.authority}/4 HTTP/1.1\r\n\r\n`);
  // A request of another client goes there and back meanwhile: the one for B has had its time.
  await (await proxy.send(`GET http://${b.authority}/other HTTP/1.1\r\n\r\n`)).readUntil('b/other');
  assert.equal(b.sockets.length, 1, 'B is not asked before A has answered');
  a.sockets[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na/hold');
  const got = (await client.readUntil('a/4')).toString();
  assert.deepEqual([...got.matchAll(/[ab]\/[a-z\d]+/g)].map(String), ['a/0', 'a/1', 'a/hold', 'b/3', 'a/4']);
  assert.equal(a.sockets.length, 2);
  assert.equal([...a.received(0).matchAll(/GET /g)].length, 3);
  assert.equal([...a.received(1).matchAll(/GET /g)].length, 1);
  await eventually('the first connection to A closed', () => a.sockets[0]!.readableEnded);
});

test('a client that sends without waiting for answers is answered all the same, in order', async (t) => {
  const proxy = await startProxy(t);
  const echo = echoPaths();
  const origin = await startOrigin(t, echo);
  const count = 3000;
  const client = await proxy.send(
    Array.from({ length: count }, (_, i) => `GET http://${origin.authority}/r${i} HTTP/1.1\r\n\r\n`).join(''),
  );
  const got = (await client.readUntil(`/r${count - 1}`)).toString();
  assert.deepEqual(
    [...got.matchAll(/\/r(\d+)/g)].map(([, n]) => Number(n)),
    Array.from({ length: count }, (_, i) => i),
  );
  assert.equal(origin.sockets.length, 1);
});

test('an origin that answers nothing is not sent more than a bounded number of requests', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t);
  const other = await startOrigin(t, echoPaths());
  await proxy.send(`GET http://${origin.authority}/hold HTTP/1.1\r\n\r\n`.repeat(500));
  await eventually('64 requests', () => origin.received().split('\r\n\r\n').length > 64);
  await (await proxy.send(`GET http://${other.authority}/x HTTP/1.1\r\n\r\n`)).readUntil('/x');
  assert.equal(origin.received().split('\r\n\r\n').length - 1, 64);
});

test('HEAD, 204 and 304 have no body, and what follows them is the next answer', async (t) => {
  const proxy = await startProxy(t);
  const answers = [
    '200 OK\r\nContent-Length: 10',
    '204 No',
    '304 Same\r\nContent-Length: 7',
    '200 OK\r\nContent-Length: 4',
  ];
  let at = 0;
  const origin = await startOrigin(t, (socket, text) => {
    for (const requests = text.split('\r\n\r\n').length - 1; at < requests; at++) {
      socket.write(`HTTP/1.1 ${answers[at]}\r\n\r\n${at === 3 ? 'done' : ''}`);
    }
  });
  const client = await proxy.send(
    ['HEAD', 'GET', 'GET', 'GET'].map((method) => `${method} http://${origin.authority}/ HTTP/1.1\r\n\r\n`).join(''),
  );
  const got = (await client.readUntil('done')).toString();
  assert.equal(got, `${answers.map((answer) => `HTTP/1.1 ${answer}\r\n\r\n`).join('')}done`);
  const spans = await proxy.sink.received(4);
  assert.deepEqual(
    spans.map(({ attributes }) => attributes['http.response.status_code']),
    [200, 204, 304, 200],
  );
});

test('telemetry passes without a span and without lines of ours', async (t) => {
  const proxy = await startProxy(t);
  const raw: string[] = [];
  const origin = await startOrigin(t, (socket, text) => {
    raw[0] = text;
    socket.write(ok);
  });
  const client = await proxy.send(`POST http://${origin.authority}/v1/traces HTTP/1.1\r\nContent-Length: 0\r\n\r\n`);
  await client.readUntil('ok');
  assert.equal(raw[0], `POST /v1/traces HTTP/1.1\r\nHost: ${origin.authority}\r\nContent-Length: 0\r\n\r\n`);
  const reason = { direction: 'outbound', reason: 'excluded', sampled: 'false' };
  assert.equal(await proxy.metric('tracecar_sampling_decisions_total', reason), 1);
  assert.equal(await proxy.metric('tracecar_spans_created_total'), 0);
});

test('the context that came in is continued, in one trace with the caller', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, echoPaths());
  const trace = '0af7651916cd43dd8448eb211c80319c';
  const client = await proxy.send(
    `GET http://${origin.authority}/x HTTP/1.1\r\ntraceparent: 00-${trace}-b7ad6b7169203331-01\r\n\r\n`,
  );
  await client.readUntil('/x');
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.traceId, trace);
  assert.equal(span!.parentSpanId, 'b7ad6b7169203331');
});

test('open connections are shown with direction and current target', async (t) => {
  const proxy = await startProxy(t);
  const [a, b] = [await startOrigin(t, echoPaths('a')), await startOrigin(t, echoPaths('b'))];
  const client = await proxy.send(
    `GET http://${a.authority}/1 HTTP/1.1\r\n\r\nGET http://${b.authority}/2 HTTP/1.1\r\n\r\n`,
  );
  await client.readUntil('b/2');
  const { connections } = JSON.parse(await proxy.get('/connections')) as { connections: Record<string, unknown>[] };
  const [{ direction, protocol, target, requests, requests_open }] = connections as [Record<string, unknown>];
  assert.deepEqual(
    { direction, protocol, target, requests, requests_open },
    { direction: 'outbound', protocol: 'http1', target: b.authority, requests: 2, requests_open: 0 },
  );
  assert.equal(await proxy.metric('tracecar_connections', { protocol: 'http1' }), 1);
});

test('an IPv6 literal is connected to', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, echoPaths(), '::1').catch(() => undefined);
  if (origin === undefined) return t.skip('no IPv6 loopback here');
  const client = await proxy.send(`GET http://${origin.authority}/six HTTP/1.1\r\n\r\n`);
  await client.readUntil('/six');
  assert.match(origin.received(), new RegExp(`Host: \\[::1\\]:${origin.port}\r\n`));
});
