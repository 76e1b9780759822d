// Promise: where framing is in doubt, nothing is inserted; bytes pass as they are and the doubt is counted.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { eventually } from '../support/eventually.ts';
import { ourLines, withoutOurLines } from '../support/http-heads.ts';
import { type OtlpSink, startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, type RawServer, startRawServer } from '../support/raw-tcp.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const good = 'GET /good HTTP/1.1\r\nHost: h\r\n\r\n';
const ok = latin1('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
const inner = 'GET /inner HTTP/1.1\r\nHost: h\r\n\r\n';

/** Requests whose head must reach the server as it is, and everything behind it too. */
const doubtful: Record<string, string> = {
  'Content-Length and Transfer-Encoding': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'Transfer-Encoding and Content-Length': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\n${inner}`,
  'Transfer-Encoding twice': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: identity\r\n\r\n0\r\n\r\n${inner}`,
  'Transfer-Encoding chunked twice': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'Transfer-Encoding: xchunked': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
  'Transfer-Encoding: chunked, identity': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`,
  'Transfer-Encoding: gzip, chunked': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${inner}`,
  'a vertical tab before chunked': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${inner}`,
  'an empty Transfer-Encoding': `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n${inner}`,
  'two different Content-Lengths': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n${inner}`,
  'two equal Content-Lengths': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab${inner}`,
  'a list in Content-Length': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\nab${inner}`,
  'a sign in Content-Length': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab${inner}`,
  'hex in Content-Length': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\nab${inner}`,
  'a space inside Content-Length': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 2\r\n\r\nab${inner}`,
  'an empty Content-Length': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nab${inner}`,
  'a Content-Length past every integer': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nab${inner}`,
  'bare LF as line end': `GET / HTTP/1.1\nHost: h\n\n${inner}`,
  'a bare LF inside the head': `GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n${inner}`,
  'a bare CR inside the head': `GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n${inner}`,
  'a NUL in a value': `GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n${inner}`,
  'a folded line': `GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n${inner}`,
  'a folded first header': `GET / HTTP/1.1\r\n Host: h\r\nX: a\r\n\r\n${inner}`,
  'a space before the colon': `POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc${inner}`,
  'a header without colon': `GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n${inner}`,
  'an empty header name': `GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n${inner}`,
  'a name that is no token': `GET / HTTP/1.1\r\nHost: h\r\nX(y): z\r\n\r\n${inner}`,
  'two spaces in the request line': `GET  / HTTP/1.1\r\nHost: h\r\n\r\n${inner}`,
  'HTTP/1.2': `GET / HTTP/1.2\r\nHost: h\r\n\r\n${inner}`,
  'HTTP/9.9': `GET / HTTP/9.9\r\nHost: h\r\n\r\n${inner}`,
  'HTTP/0.9': `GET /\r\n${inner}`,
  'Transfer-Encoding in HTTP/1.0': `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'a head of 200 KB': `GET / HTTP/1.1\r\nHost: h\r\nX-Huge: ${'x'.repeat(200_000)}\r\n\r\n${inner}`,
  'a head of 5,000 lines': `GET / HTTP/1.1\r\nHost: h\r\n${'X: y\r\n'.repeat(5000)}\r\n${inner}`,
  'a request line without end': `GET /${'x'.repeat(200_000)}`,
};

/** Requests with a sound head whose body breaks: what follows the fault passes as it is. */
const brokenBodies: Record<string, string> = {
  'a chunk size that is no number': 'zz\r\nabc\r\n0\r\n\r\n',
  'a sign in the chunk size': '+3\r\nabc\r\n0\r\n\r\n',
  'hex prefix in the chunk size': '0x3\r\nabc\r\n0\r\n\r\n',
  'a chunk size past every integer': 'fffffffffffffffff\r\nabc\r\n0\r\n\r\n',
  'a chunk longer than its size': '3\r\nabcd\r\n0\r\n\r\n',
  'a bare LF after the chunk size': '3\nabc\r\n0\r\n\r\n',
  'a bare LF after the chunk data': '3\r\nabc\n0\r\n\r\n',
  'a bare CR in a chunk extension': '3;a\rb\r\nabc\r\n0\r\n\r\n',
  'an empty chunk size': '\r\nabc\r\n0\r\n\r\n',
  'a space before the chunk size': ' 3\r\nabc\r\n0\r\n\r\n',
  'a broken trailer': '0\r\nX : y\r\n\r\n',
};

interface Setup {
  readonly server: RawServer;
  readonly sink: OtlpSink;
  readonly sidecar: Sidecar;
}

/** The server answers each of our good requests and says nothing to anything else. */
async function setUp(t: TestContext): Promise<Setup> {
  const server = await startRawServer(t, {
    onData({ socket, bytes }) {
      const answered = Math.round(socket.bytesWritten / ok.length);
      const heads = bytes().toString('latin1').split('GET /good HTTP/1.1\r\n').length - 1;
      for (let i = answered; i < heads; i++) socket.write(ok);
    },
  });
  const sink = await startOtlpSink(t);
  return { server, sink, sidecar: await startSidecar(t, { inbound: server.port, otlp: sink.url }) };
}

async function degraded(sidecar: Sidecar): Promise<number> {
  return sumOf(await sidecar.metrics(), 'tracecar_connections_degraded_total');
}

/** What the server got on a new connection to which the client sent `parts`, awaiting an answer after each good one. */
async function sendAndRecord({ server, sidecar }: Setup, t: TestContext, parts: readonly string[]): Promise<Buffer> {
  const known = server.connections.length;
  const client = await connectRaw(t, sidecar.inbound);
  let answers = 0;
  for (const part of parts) {
    client.socket.write(latin1(part));
    if (part === good) await client.read(ok.length * ++answers);
  }
  client.socket.end();
  await client.readToEnd();
  const connection = server.connections[known]!;
  await connection.ended;
  return connection.bytes();
}

test('doubtful heads', async (t) => {
  const setup = await setUp(t);
  for (const [name, bytes] of Object.entries(doubtful)) {
    await t.test(`${name}: passes unchanged, as does all behind it, and is counted`, async (s) => {
      const before = await degraded(setup.sidecar);
      const seen = await sendAndRecord(setup, s, [bytes]);
      assert.equal(seen.toString('latin1'), bytes);
      assert.equal(await degraded(setup.sidecar), before + 1);
    });
  }
  await t.test('every one of them is counted with a reason', async () => {
    const samples = (await setup.sidecar.metrics()).filter(
      (sample) => sample.name === 'tracecar_connections_degraded_total' && sample.value > 0,
    );
    assert.equal(
      samples.reduce((sum, sample) => sum + sample.value, 0),
      Object.keys(doubtful).length,
    );
    assert.ok(samples.every((sample) => /^[a-z0-9_]+$/.test(sample.labels.reason ?? '')));
    assert.ok(samples.length >= 5, 'the reasons do not tell the faults apart');
  });
});

test('a doubtful head behind a good request leaves the good one traced and itself untouched', async (t) => {
  const setup = await setUp(t);
  const bad = doubtful['Content-Length and Transfer-Encoding']!;
  const seen = await sendAndRecord(setup, t, [good, bad, good.replace('/good', '/late')]);
  const first = seen.indexOf('\r\n\r\n') + 4;
  assert.match(ourLines(seen.subarray(0, first)).get('traceparent') ?? '', /^00-/);
  assert.equal(withoutOurLines(seen.subarray(0, first)).toString('latin1'), good);
  assert.equal(seen.subarray(first).toString('latin1'), bad + good.replace('/good', '/late'));
  const [span] = await setup.sink.received(1);
  assert.equal(span!.attributes['url.path'], '/good');
});

test('first bytes that are no HTTP are opaque from the start; behind a good request they are counted', async (t) => {
  const setup = await setUp(t);
  const bad = `GE(T / HTTP/1.1\r\nHost: h\r\n\r\n${inner}`;
  assert.equal((await sendAndRecord(setup, t, [bad])).toString('latin1'), bad);
  assert.equal(await degraded(setup.sidecar), 0);
  const seen = await sendAndRecord(setup, t, [good, bad]);
  assert.equal(seen.subarray(seen.indexOf('\r\n\r\n') + 4).toString('latin1'), bad);
  assert.equal(await degraded(setup.sidecar), 1);
});

test('broken bodies', async (t) => {
  const setup = await setUp(t);
  const head = 'POST /broken HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
  for (const [name, body] of Object.entries(brokenBodies)) {
    await t.test(`${name}: nothing is inserted behind it, and it is counted`, async (s) => {
      const before = await degraded(setup.sidecar);
      const seen = await sendAndRecord(setup, s, [head + body + inner]);
      const headEnd = seen.indexOf('\r\n\r\n') + 4;
      assert.equal(withoutOurLines(seen.subarray(0, headEnd)).toString('latin1'), head);
      assert.equal(seen.subarray(headEnd).toString('latin1'), body + inner);
      assert.equal(await degraded(setup.sidecar), before + 1);
    });
  }
});

test('an answer with both framings turns its connection opaque', async (t) => {
  const answer = latin1(
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  );
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(answer) });
  const sink = await startOtlpSink(t);
  const sidecar = await startSidecar(t, { inbound: server.port, otlp: sink.url });
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write('GET /a HTTP/1.1\r\nHost: h\r\n\r\n');
  assert.deepEqual(await client.read(answer.length), answer);
  const before = server.connections[0]!.bytes().length;
  client.socket.write(good);
  await client.read(answer.length * 2);
  assert.equal(server.connections[0]!.bytes().subarray(before).toString('latin1'), good);
  await eventually('the connection is counted', async () => (await degraded(sidecar)) === 1);
});

test('what a degraded connection does costs its neighbours nothing', async (t) => {
  const setup = await setUp(t);
  const neighbour = await connectRaw(t, setup.sidecar.inbound);
  neighbour.socket.write(good);
  await neighbour.read(ok.length);
  for (const bytes of Object.values(doubtful).slice(0, 12)) await sendAndRecord(setup, t, [bytes]);
  neighbour.socket.write(good);
  await neighbour.read(ok.length * 2);
  await sendAndRecord(setup, t, [good]);
  const spans = await setup.sink.received(3, (span) => span.attributes['url.path'] === '/good');
  assert.equal(spans.length, 3);
});

test('one CRLF before a request line is passed on and the request is traced', async (t) => {
  const setup = await setUp(t);
  const seen = await sendAndRecord(setup, t, [`\r\n${good}`]);
  assert.ok(seen.toString('latin1').startsWith('\r\nGET /good HTTP/1.1\r\nHost: h\r\n'));
  await setup.sink.received(1);
  assert.equal(await degraded(setup.sidecar), 0);
});

test('a head that never ends is passed on when the client ends', async (t) => {
  const setup = await setUp(t);
  const cut = 'GET /cut HTTP/1.1\r\nHost: h\r\nX-Half: va';
  assert.equal((await sendAndRecord(setup, t, [cut])).toString('latin1'), cut);
});
