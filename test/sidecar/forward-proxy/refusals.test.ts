// What the forward proxy answers itself: the status, a text that helps, the span, the counter, and nothing at an origin.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadPort } from '../../support/dead-port.ts';
import { echoPaths, startOrigin, startProxy, type TestProxy } from './proxy.ts';

/** Sends, and takes the answer apart; the connection must end behind it. */
async function ask(proxy: TestProxy, text: string) {
  const client = await proxy.send(text);
  const answer = (await client.readToEnd()).toString();
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  assert.match(head, /\r\nConnection: close/);
  return { status: Number(head.split(' ')[1]), head, body };
}

const cases: [string, string, number, RegExp, string][] = [
  [
    'origin-form',
    'GET /x HTTP/1.1\r\nHost: h\r\n\r\n',
    400,
    /forward proxy.*HTTP_PROXY=http:\/\/127/,
    'not_a_proxy_request',
  ],
  ['https in clear', 'GET https://h/ HTTP/1.1\r\n\r\n', 501, /CONNECT/, 'unsupported_scheme'],
  ['no port to go to', 'CONNECT h:0 HTTP/1.1\r\n\r\n', 400, /host and port/, 'bad_authority'],
  ['CONNECT without a port', 'CONNECT h HTTP/1.1\r\n\r\n', 400, /host and port/, 'bad_authority'],
  ['two hosts', 'GET http://h/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400, /two ways/, 'repeated_host'],
  [
    'a length and chunks',
    'POST http://h/ HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    /two ways/,
    'content_length_and_chunked',
  ],
  [
    'a CONNECT with a body',
    'CONNECT h:1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc',
    400,
    /two ways/,
    'connect_with_body',
  ],
];

for (const [what, text, status, message, reason] of cases) {
  test(`${what} is answered ${status}, with a span and a count`, async (t) => {
    const proxy = await startProxy(t);
    const answer = await ask(proxy, text);
    assert.equal(answer.status, status);
    assert.match(answer.body, message);
    const [span] = await proxy.sink.received(1);
    assert.equal(span!.kind, 'CLIENT');
    assert.equal(span!.attributes['http.response.status_code'], status);
    assert.equal(span!.attributes.response_flags, 'DPE');
    assert.equal(span!.attributes['error.type'], reason);
    assert.equal(await proxy.metric('tracecar_requests_refused_total', { reason }), 1);
  });
}

test('what is no request head is answered and counted, though there is nothing to make a span of', async (t) => {
  const proxy = await startProxy(t, { 'max-head-bytes': '1024' });
  const heads: [string, number, string][] = [
    ['\x16\x03\x01\x02\0\x01', 400, 'not_http'],
    ['GET http://h/ HTTP/3.0\r\n\r\n', 400, 'bad_request_line'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'bad_request_line'],
    ['GET http://h/ HTTP/1.1\nHost: h\n\n', 400, 'bare_lf'],
    ['GET http://h/ HTTP/1.1\r\nA : b\r\n\r\n', 400, 'bad_field_name'],
    ['GET http://h/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n', 400, 'obs_fold'],
    [`GET http://h/ HTTP/1.1\r\nA: ${'x'.repeat(1100)}`, 431, 'head_too_large'],
  ];
  for (const [text, status, reason] of heads) {
    assert.equal((await ask(proxy, text)).status, status, reason);
    assert.ok((await proxy.metric('tracecar_requests_refused_total', { reason })) >= 1, reason);
  }
});

test('nobody listens there: 502, with flag and reason in the span and in the metrics', async (t) => {
  const proxy = await startProxy(t);
  const port = await deadPort(t);
  for (const text of [
    `GET http://127.0.0.1:${port}/x HTTP/1.1\r\n\r\n`,
    `CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`,
  ]) {
    const answer = await ask(proxy, text);
    assert.equal(answer.status, 502);
    assert.match(answer.body, new RegExp(`cannot connect to 127.0.0.1:${port}: nobody listens there`));
  }
  const spans = await proxy.sink.received(2);
  for (const { attributes, statusCode } of spans) {
    assert.equal(attributes['http.response.status_code'], 502);
    assert.equal(attributes.response_flags, 'UF');
    assert.equal(attributes['error.type'], 'connection_refused');
    assert.equal(statusCode, 2);
  }
  assert.deepEqual(
    spans.map(({ attributes }) => attributes['http.request.method']),
    ['GET', 'CONNECT'],
  );
  const labels = { direction: 'outbound', reason: 'refused' };
  assert.equal(await proxy.metric('tracecar_connect_failures_total', labels), 2);
  assert.equal(await proxy.metric('tracecar_requests_total', { direction: 'outbound', response_code: '502' }), 2);
});

test('HEAD gets the head of the refusal alone', async (t) => {
  const proxy = await startProxy(t);
  const answer = await ask(proxy, `HEAD http://127.0.0.1:${await deadPort(t)}/ HTTP/1.1\r\n\r\n`);
  assert.equal(answer.status, 502);
  assert.equal(answer.body, '');
});

test('a client in the middle of a large body reads why its origin could not be reached', async (t) => {
  const proxy = await startProxy(t);
  const client = await proxy.send(
    `POST http://127.0.0.1:${await deadPort(t)}/ HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n`,
  );
  client.socket.on('error', () => {});
  client.socket.write(Buffer.alloc(5_000_000));
  await client.readUntil('nobody listens there\n');
});

test('a name that does not resolve is a 502 of its own', async (t) => {
  const proxy = await startProxy(t);
  const answer = await ask(proxy, 'GET http://no-such-host.invalid/ HTTP/1.1\r\n\r\n');
  assert.equal(answer.status, 502);
  assert.match(answer.body, /does not resolve/);
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.attributes['error.type'], 'connection_dns');
});

test('an origin that does not answer the connection in time: 504', async (t) => {
  const proxy = await startProxy(t, { 'connect-timeout': '150ms' });
  const answer = await ask(proxy, `GET http://127.0.0.1:${await fullQueue(t)}/ HTTP/1.1\r\n\r\n`);
  assert.equal(answer.status, 504);
  assert.match(answer.body, /--connect-timeout/);
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.attributes['error.type'], 'connection_timeout');
});

test('the proxy does not call itself, by whatever name', async (t) => {
  const proxy = await startProxy(t);
  for (const host of ['127.0.0.1', 'localhost']) {
    const answer = await ask(proxy, `GET http://${host}:${proxy.port}/ HTTP/1.1\r\n\r\n`);
    assert.equal(answer.status, 508);
  }
  assert.equal((await ask(proxy, `CONNECT 127.0.0.1:${proxy.port} HTTP/1.1\r\n\r\n`)).status, 508);
  assert.equal(await proxy.metric('tracecar_requests_refused_total', { reason: 'proxy_loop' }), 3);
});

test('a refusal waits for the answers before it, and nothing behind it is carried out', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t, echoPaths());
  const good = (path: string) => `GET http://${origin.authority}${path} HTTP/1.1\r\n\r\n`;
  for (const bad of ['GET /x HTTP/1.1\r\n\r\n', 'GET http://h/ HTTP/1.1\nx\n\n']) {
    const client = await proxy.send(`${good('/1')}${good('/2')}${bad}${good('/never')}`);
    const answers = (await client.readToEnd()).toString();
    assert.match(answers, /^HTTP\/1\.1 200 [\s\S]*\/1HTTP\/1\.1 200 [\s\S]*\/2HTTP\/1\.1 400 Bad Request\r\n/);
  }
  await origin.saw('/2', 1);
  assert.doesNotMatch(origin.received(0) + origin.received(1), /never/);
});

test('a body whose chunks break off is refused, and the origin is not left with half of it', async (t) => {
  const proxy = await startProxy(t);
  const origin = await startOrigin(t);
  const client = await proxy.send(
    `POST http://${origin.authority}/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
  );
  await origin.saw('abc');
  client.socket.write('zz\r\nGET http://h/ HTTP/1.1\r\n\r\n');
  assert.match((await client.readToEnd()).toString(), /^HTTP\/1\.1 400 /);
  const [span] = await proxy.sink.received(1);
  assert.equal(span!.attributes['error.type'], 'bad_request_body');
  assert.equal(span!.attributes['http.response.status_code'], 400);
});

test('a head that does not come to its end in time is answered 408', async (t) => {
  const proxy = await startProxy(t, { 'head-timeout': '100ms' });
  const client = await proxy.send('GET http://h/ HTTP/1.1\r\nX: ');
  assert.match((await client.readToEnd()).toString(), /^HTTP\/1\.1 408 /);
});

/** The port of a process that has been stopped, its queue of connections full. */
async function fullQueue(t: TestContext): Promise<number> {
  const program = `const s = require('node:net').createServer();
    s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  child.kill('SIGSTOP');
  const port = Number(line.toString());
  for (let i = 0; i < 8; i++) {
    const filler = net.connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => filler.destroy());
    const made = await Promise.race([once(filler, 'connect').then(() => true), sleep(300).then(() => false)]);
    if (!made) return port;
  }
  throw new Error('the queue of a stopped process did not fill');
}
