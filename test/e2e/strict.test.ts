// Promise: with --strict what is in doubt is answered 400 and never reaches the server; all else passes as ever.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { corpus } from '../boundaries/corpus.ts';
import { readByTracecar } from '../boundaries/tracecar-view.ts';
import { outcomeOf } from '../boundaries/verdicts.ts';
import { eventually } from '../support/eventually.ts';
import { type OtlpSink, startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, type RawServer, startRawServer } from '../support/raw-tcp.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const good = 'GET /good HTTP/1.1\r\nHost: h\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const inner = 'GET /inner HTTP/1.1\r\nHost: h\r\n\r\n';

interface Row {
  /** What is sent; a request of its own follows. */
  readonly bytes: string;
  readonly reason: string;
  /** How much of it goes on before the doubt; none unless it is told. */
  readonly goesOn?: string;
}

const post = (lines: string, body: string) => `POST /bad HTTP/1.1\r\nHost: h\r\n${lines}\r\n${body}`;
const chunkedHead = post('Transfer-Encoding: chunked\r\n', '');

/** Rows of spec/envoy-tracing.md section 10.3 that a request can be, in each of their forms. */
const refused: Readonly<Record<string, Row>> = {
  'Transfer-Encoding and Content-Length': {
    bytes: post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'),
    reason: 'content_length_and_chunked',
  },
  'Content-Length and Transfer-Encoding': {
    bytes: post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    reason: 'content_length_and_chunked',
  },
  'Transfer-Encoding other than chunked': {
    bytes: post('Transfer-Encoding: gzip\r\n', ''),
    reason: 'bad_transfer_encoding',
  },
  'a list in Transfer-Encoding': {
    bytes: post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'),
    reason: 'bad_transfer_encoding',
  },
  'Transfer-Encoding with CONNECT': {
    bytes: 'CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    reason: 'connect_with_body',
  },
  'Content-Length with CONNECT': {
    bytes: 'CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 4\r\n\r\nabcd',
    reason: 'connect_with_body',
  },
  'Transfer-Encoding in HTTP/1.0': {
    bytes: 'POST /bad HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    reason: 'transfer_encoding_in_http10',
  },
  'HTTP/0.9': { bytes: 'GET /bad\r\n', reason: 'bad_request_line' },
  'HTTP/1.2': { bytes: 'GET /bad HTTP/1.2\r\nHost: h\r\n\r\n', reason: 'bad_request_line' },
  'two Content-Lengths': {
    bytes: post('Content-Length: 0\r\nContent-Length: 4\r\n', 'abcd'),
    reason: 'repeated_content_length',
  },
  'a Content-Length that is none': { bytes: post('Content-Length: +4\r\n', 'abcd'), reason: 'bad_content_length' },
  'bare LF': { bytes: 'GET /bad HTTP/1.1\nHost: h\n\n', reason: 'bare_lf' },
  'bare CR': { bytes: 'GET /bad HTTP/1.1\r\nX: a\rb\r\n\r\n', reason: 'bare_cr' },
  NUL: { bytes: 'GET /bad HTTP/1.1\r\nX: a\0b\r\n\r\n', reason: 'bad_field_value' },
  'obs-fold': { bytes: 'GET /bad HTTP/1.1\r\nX: a\r\n b\r\n\r\n', reason: 'obs_fold' },
  'a space before the colon': { bytes: post('Content-Length : 4\r\n', 'abcd'), reason: 'bad_field_name' },
  'a name that is no token': { bytes: 'GET /bad HTTP/1.1\r\nX(Y): z\r\n\r\n', reason: 'bad_field_name' },
  'a head of 70,000 bytes': {
    bytes: `GET /bad HTTP/1.1\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`,
    reason: 'head_too_large',
  },
  '600 fields': { bytes: `GET /bad HTTP/1.1\r\n${'X: y\r\n'.repeat(600)}\r\n`, reason: 'too_many_fields' },
  'a chunk size that is none': {
    bytes: `${chunkedHead}+3\r\nabc\r\n`,
    reason: 'bad_request_body',
    goesOn: chunkedHead,
  },
  'a chunk longer than its size': {
    bytes: `${chunkedHead}3\r\nabcd\r\n0\r\n\r\n`,
    reason: 'bad_request_body',
    goesOn: chunkedHead,
  },
  'a trailer that is none': {
    bytes: `${chunkedHead}0\r\nX : y\r\n\r\n`,
    reason: 'bad_request_body',
    goesOn: chunkedHead,
  },
};

/** Rows that are no doubt, each with a request behind it. */
const passed: Readonly<Record<string, string>> = {
  'absolute-form': 'GET http://h/good HTTP/1.1\r\nHost: h\r\n\r\n',
  'HTTP/1.0': 'GET /good HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'a missing Host': 'GET /good HTTP/1.1\r\n\r\n',
  'a path with a fragment': 'GET /good#x HTTP/1.1\r\nHost: h\r\n\r\n',
  'a path without a slash': 'GET good HTTP/1.1\r\nHost: h\r\n\r\n',
  'an unknown method': 'PURGE /good HTTP/1.1\r\nHost: h\r\n\r\n',
  'underscores in a name': 'GET /good HTTP/1.1\r\nx_y: z\r\n\r\n',
  'a body in chunks': 'POST /good HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n',
  'bytes that are no HTTP': '*1\r\n$4\r\nPING\r\n',
  'a TLS record': '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03',
};

/** Header lines that a sidecar inserts by default. */
const ours = /(?:traceparent|x-b3-(?:traceid|spanid|sampled)|x-request-id): [0-9a-f-]+\r\n/g;

interface Setup {
  readonly server: RawServer;
  readonly sink: OtlpSink;
  readonly sidecar: Sidecar;
}

/** The server answers each good request, and nothing else. */
async function setUp(t: TestContext): Promise<Setup> {
  const server = await startRawServer(t, {
    onData({ socket, bytes }) {
      const asked = bytes().toString('latin1').split('GET /good HTTP/1.1\r\n').length - 1;
      for (let i = Math.round(socket.bytesWritten / ok.length); i < asked; i++) socket.write(ok);
    },
  });
  const sink = await startOtlpSink(t);
  return { server, sink, sidecar: await startSidecar(t, { inbound: server.port, otlp: sink.url, args: ['--strict'] }) };
}

interface Exchanged {
  /** All that the client got, to the end of the connection. */
  readonly answer: string;
  /** All that the server got, without our lines. */
  readonly arrived: string;
}

async function exchange(t: TestContext, { server, sidecar }: Setup, ...parts: readonly string[]): Promise<Exchanged> {
  const known = server.connections.length;
  const client = await connectRaw(t, sidecar.inbound);
  // A refusal at once would end the connection to the server before it is there.
  await eventually('the server is reached', () => server.connections.length > known);
  for (const part of parts) {
    client.socket.write(latin1(part));
    if (part === good) await client.read(ok.length);
  }
  client.socket.end();
  const answer = (await client.readToEnd()).toString('latin1');
  const peer = server.connections[known]!;
  await peer.ended;
  return { answer, arrived: peer.bytes().toString('latin1').replace(ours, '') };
}

const refusedOf = async (sidecar: Sidecar, reason: string) =>
  sumOf(await sidecar.metrics(), 'tracecar_requests_refused_total', { reason });

const badRequest = /^HTTP\/1\.1 400 Bad Request\r\n(?:[^\r]+\r\n)*connection: close\r\n/i;

test('what is in doubt', async (t) => {
  const setup = await setUp(t);
  for (const [name, { bytes, reason, goesOn = '' }] of Object.entries(refused)) {
    await t.test(`${name}: 400, and the server sees nothing of it`, async (s) => {
      const before = await refusedOf(setup.sidecar, reason);
      const first = await exchange(s, setup, bytes + inner);
      assert.match(first.answer, badRequest);
      assert.equal(first.arrived, goesOn);
      const second = await exchange(s, setup, good, bytes + inner);
      assert.equal(second.answer.slice(0, ok.length), ok);
      assert.match(second.answer.slice(ok.length), badRequest);
      assert.equal(second.arrived, good + goesOn);
      assert.equal(await refusedOf(setup.sidecar, reason), before + 2);
    });
  }
  assert.equal(sumOf(await setup.sidecar.metrics(), 'tracecar_connections_degraded_total'), 0);
});

test('what is in no doubt passes', async (t) => {
  const setup = await setUp(t);
  for (const [name, bytes] of Object.entries(passed)) {
    await t.test(name, async (s) => {
      const { answer, arrived } = await exchange(s, setup, bytes + inner);
      assert.equal(arrived, bytes + inner);
      assert.doesNotMatch(answer, /400/);
    });
  }
  assert.equal(sumOf(await setup.sidecar.metrics(), 'tracecar_requests_refused_total'), 0);
});

test('a doubtful request in pieces never reaches the server as a request', async (t) => {
  const setup = await setUp(t);
  for (const [name, { bytes }] of Object.entries(refused).filter(([, row]) => row.bytes.length < 200 && !row.goesOn)) {
    const known = setup.server.connections.length;
    const client = await connectRaw(t, setup.sidecar.inbound);
    await eventually('the server is reached', () => setup.server.connections.length > known);
    for (const byte of bytes) {
      client.socket.write(latin1(byte));
      await new Promise(setImmediate);
    }
    assert.match((await client.readToEnd()).toString('latin1'), badRequest, name);
    const peer = setup.server.connections[known]!;
    await peer.ended;
    // Its line may have gone on before it was in doubt, but not to its end.
    assert.ok(bytes.startsWith(peer.bytes().toString('latin1')), name);
    assert.doesNotMatch(peer.bytes().toString('latin1'), /\n\r?\n/, name);
  }
});

test('every stream of the corpus is refused, or passes to its end', async (t) => {
  const setup = await setUp(t);
  // What does not begin as HTTP/1 passes unread.
  const others = ['opaque', 'http2', 'bad_proxy_header'];
  let refusals = 0;
  for (const subject of corpus.filter(({ bytes }) => bytes.length < 4000)) {
    const view = readByTracecar([subject.bytes]);
    // Sound requests in front of a doubt would have to be answered first.
    if (view.opaque !== '' && view.requests.some(({ complete }) => complete)) continue;
    const name = `${subject.family}: ${subject.name}`;
    const { answer, arrived } = await exchange(t, setup, subject.bytes).catch((error) => {
      throw new Error(name, { cause: error });
    });
    if (outcomeOf(subject, view) === 'opaque' && !others.includes(view.opaque)) {
      refusals++;
      assert.match(answer, badRequest, name);
      assert.ok(!arrived.includes(subject.probe) && subject.bytes.startsWith(arrived), name);
    } else {
      assert.equal(arrived, subject.bytes, name);
      assert.doesNotMatch(answer, badRequest, name);
    }
  }
  assert.ok(refusals > 300, `${refusals} refusals`);
});
