// Promise: through an inbound sidecar, bytes are what they would be without it, but for the lines it adds to requests.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { withoutOurLines } from '../support/http-heads.ts';
import { randomPlan, randomSizes, seededRandom } from '../support/random-exchanges.ts';
import { connectRaw, type RawServer, startRawServer, writeInPieces } from '../support/raw-tcp.ts';
import { startSidecarAndSink } from '../support/sidecar.ts';

const run = promisify(execFile);
const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** A server that answers once the bytes of a connection end with `requestEnd`. */
function answerAfter(t: TestContext, requestEnd: Buffer, answer: Buffer): Promise<RawServer> {
  return startRawServer(t, {
    onData(connection) {
      if (connection.bytes().subarray(-requestEnd.length).equals(requestEnd)) connection.socket.write(answer);
    },
  });
}

interface Exchange {
  readonly request: Buffer;
  readonly response: Buffer;
  /** How the server knows that the request is complete. */
  readonly requestEnd?: Buffer;
}

/** Does an exchange directly and through a sidecar and compares what both ends saw; resolves with the spans' sink. */
async function assertTransparent(t: TestContext, exchange: Exchange, sizes: readonly number[] = [1 << 20]) {
  const { request, response } = exchange;
  const server = await answerAfter(t, exchange.requestEnd ?? request.subarray(-8), response);
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  for (const port of [server.port, sidecar.inbound]) {
    const client = await connectRaw(t, port);
    await writeInPieces(client.socket, request, sizes);
    assert.deepEqual(await client.read(response.length), response);
    client.socket.end();
    assert.deepEqual(await client.readToEnd(), response);
  }
  const [direct, proxied] = server.connections;
  assert.ok(direct?.bytes().equals(request));
  assert.ok(withoutOurLines(proxied!.bytes()).equals(request), 'the request reached the server changed');
  assert.notEqual(proxied!.bytes().length, request.length, 'nothing was added to the request');
  return sink;
}

test('case, order, duplicates, white space and empty values of headers pass both ways', async (t) => {
  const sink = await assertTransparent(t, {
    request: latin1(
      'POST /a/../b?x=%20&y HTTP/1.1\r\nHost: shop.example\r\nX-CaSe: A\r\nx-dup: 1\r\nX-DUP: 2\r\nX-Empty:\r\n' +
        'X-Pad:    two  spaces  \r\nx-latin: caf\xe9\r\nCookie: a=b; c="d"\r\nCookie: e=f\r\ncontent-LENGTH: 4\r\n\r\nbody',
    ),
    response: latin1(
      'HTTP/1.1 200 Very Fine\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nX-EMPTY: \r\nDATE: today\r\nContent-Length: 5\r\n\r\nhello',
    ),
  });
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 200);
});

test('a request that comes byte by byte passes and is traced', async (t) => {
  const sink = await assertTransparent(
    t,
    {
      request: latin1('GET /slowly HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n'),
      response: latin1('HTTP/1.1 204 No Content\r\nX: y\r\n\r\n'),
      requestEnd: latin1('\r\n\r\n'),
    },
    [1],
  );
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['url.path'], '/slowly');
});

test('1 MiB chunked in odd sizes with extensions and trailers passes both ways', async (t) => {
  const chunked = () => {
    const body = randomBytes(1 << 20);
    const parts: Buffer[] = [];
    for (let at = 0, i = 0; at < body.length; i++) {
      const size = [1, 7, 4093, 16384, 65537, 99][i % 6]!;
      const piece = body.subarray(at, at + size);
      const extension = i % 5 === 0 ? ';name="a value"' : '';
      parts.push(
        latin1(`${i % 2 === 0 ? '00' : ''}${piece.length.toString(16)}${extension}\r\n`),
        piece,
        latin1('\r\n'),
      );
      at += size;
    }
    return Buffer.concat([...parts, latin1('0\r\nX-Digest: abc\r\nx-Last: trailer\r\n\r\n')]);
  };
  const sink = await assertTransparent(
    t,
    {
      request: Buffer.concat([
        latin1('PUT /up HTTP/1.1\r\nHost: h\r\nTrailer: X-Digest\r\nTransfer-Encoding: chunked\r\n\r\n'),
        chunked(),
      ]),
      response: Buffer.concat([
        latin1('HTTP/1.1 201 Created\r\ntransfer-encoding: Chunked\r\nTrailer: X-Digest\r\n\r\n'),
        chunked(),
      ]),
      requestEnd: latin1('x-Last: trailer\r\n\r\n'),
    },
    [1, 1000, 33333, 5, 65536],
  );
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 201);
});

test('HEAD, 204 and 304 have no body: the next exchange on the connection is told apart', async (t) => {
  const requests = [
    'HEAD /one HTTP/1.1\r\nHost: h\r\n\r\n',
    'GET /two HTTP/1.1\r\nHost: h\r\n\r\n',
    'GET /three HTTP/1.1\r\nHost: h\r\nIf-None-Match: "x"\r\n\r\n',
    'GET /four HTTP/1.1\r\nHost: h\r\n\r\n',
  ].map(latin1);
  const responses = [
    'HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: "x"\r\n\r\n',
    'HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!',
  ].map(latin1);
  const server = await startRawServer(t, {
    onData({ socket, bytes }) {
      const count = bytes().toString('latin1').split('\r\n\r\n').length - 1;
      socket.write(responses[count - 1]!);
    },
  });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  for (let i = 0; i < requests.length; i++) {
    client.socket.write(requests[i]!);
    await client.read(Buffer.concat(responses.slice(0, i + 1)).length);
  }
  assert.ok(client.bytes().equals(Buffer.concat(responses)));
  const spans = await sink.received(4);
  assert.deepEqual(
    spans.map((span) => [span.attributes['url.path'], span.attributes['http.response.status_code']]),
    [
      ['/one', 200],
      ['/two', 204],
      ['/three', 304],
      ['/four', 404],
    ],
  );
});

test('Expect: 100-continue: the interim answer comes before the body is sent', async (t) => {
  const head = latin1('POST /big HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n');
  const interim = latin1('HTTP/1.1 100 Continue\r\n\r\n');
  const final = latin1('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  const server = await startRawServer(t, {
    onData({ socket, bytes }) {
      if (bytes().subarray(-4).equals(latin1('\r\n\r\n'))) socket.write(interim);
      if (bytes().subarray(-6).equals(latin1('upload'))) socket.write(final);
    },
  });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(head);
  assert.deepEqual(await client.read(interim.length), interim);
  client.socket.write('upload');
  assert.deepEqual(await client.read(interim.length + final.length), Buffer.concat([interim, final]));
  assert.ok(withoutOurLines(server.connections[0]!.bytes()).equals(Buffer.concat([head, latin1('upload')])));
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 200);
});

test('103 Early Hints pass at once and the span has the final status', async (t) => {
  const hints = latin1('HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n');
  const final = latin1('HTTP/1.1 203 Fine\r\nContent-Length: 2\r\n\r\nok');
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(hints) });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write('GET /page HTTP/1.1\r\nHost: h\r\n\r\n');
  assert.deepEqual(await client.read(hints.length), hints);
  server.connections[0]!.socket.write(final);
  assert.deepEqual(await client.read(hints.length + final.length), Buffer.concat([hints, final]));
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 203);
  assert.equal(sink.spans.length, 1);
});

test('100 requests pipelined in one write keep their order and are 100 spans', async (t) => {
  const requests = Array.from({ length: 100 }, (_, i) =>
    latin1(
      i % 3 === 0
        ? `POST /p${i} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nb${String(i).padStart(2, '0')}`
        : `GET /p${i} HTTP/1.1\r\nHost: h\r\nX-N: ${i}\r\n\r\n`,
    ),
  );
  let traced = 0;
  const server = http.createServer(async (request, response) => {
    if (request.headers.traceparent !== undefined) traced++;
    let body = '';
    for await (const chunk of request) body += chunk;
    response.setHeader('Date', 'now');
    if (request.headers['x-n'] === '50') response.write('chunked ');
    response.end(`${request.method} ${request.url} ${body}.`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  const serverPort = (server.address() as AddressInfo).port;
  const { sink, sidecar } = await startSidecarAndSink(t, serverPort);
  const answers: Buffer[] = [];
  for (const port of [serverPort, sidecar.inbound]) {
    const client = await connectRaw(t, port);
    client.socket.write(Buffer.concat(requests));
    await client.readUntil('POST /p99 b99.');
    client.socket.end();
    answers.push(await client.readToEnd());
  }
  assert.ok(answers[1]!.equals(answers[0]!), 'the answers differ');
  assert.equal(answers[1]!.toString('latin1').match(/HTTP\/1\.1 200 OK/g)?.length, 100);
  assert.equal(traced, 100);
  const spans = await sink.received(100);
  assert.deepEqual(
    spans.toSorted((a, b) => Number(a.startNs - b.startNs)).map((span) => span.attributes['url.path']),
    requests.map((_, i) => `/p${i}`),
  );
  assert.equal(new Set(spans.map((span) => span.traceId)).size, 100);
});

test('HTTP/1.0 without Host, with a body that ends with the connection', async (t) => {
  const request = latin1('GET /old HTTP/1.0\r\nUser-Agent: ancient\r\n\r\n');
  const answer = Buffer.concat([latin1('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n'), randomBytes(70_000)]);
  const server = await startRawServer(t, { onData: ({ socket }) => socket.end(answer) });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  assert.ok((await client.readToEnd()).equals(answer));
  assert.ok(withoutOurLines(server.connections[0]!.bytes()).equals(request));
  client.socket.end();
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['http.response.status_code'], 200);
  assert.equal(span!.attributes['network.protocol.version'], '1.0');
});

test('unknown methods and odd request targets pass and are traced', async (t) => {
  const targets = [
    'M-SEARCH *',
    'PURGE /cache',
    'OPTIONS *',
    'PROPFIND /dav/',
    "X!#$%&'*+-.^_`|~9 /token",
    'GET http://h/abs',
  ];
  const answer = latin1('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(answer) });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  const client = await connectRaw(t, sidecar.inbound);
  for (const [i, target] of targets.entries()) {
    client.socket.write(`${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
    await client.read(answer.length * (i + 1));
  }
  const seen = server.connections[0]!.bytes().toString('latin1');
  assert.deepEqual(
    seen.split('\r\n').filter((line) => line.endsWith(' HTTP/1.1')),
    targets.map((target) => `${target} HTTP/1.1`),
  );
  assert.equal((await sink.received(targets.length)).length, targets.length);
});

test('random exchanges cut at random places: the same bytes at both ends, one span each, in order', async (t) => {
  const random = seededRandom(20261121);
  const plans = Array.from({ length: 40 }, (_, i) => randomPlan(random, i));
  const server = await startRawServer(t, {
    onData({ socket, bytes }) {
      const text = bytes().toString('latin1');
      const last = /\r\nX-Last: (\d+)\r\n/.exec(text);
      if (last === null || !text.endsWith('\r\n\r\n')) return;
      const responses = Buffer.concat(plans[Number(last[1])]!.responses);
      void writeInPieces(socket, responses, randomSizes(random, responses.length));
    },
  });
  const { sink, sidecar } = await startSidecarAndSink(t, server.port);
  for (const [i, plan] of plans.entries()) {
    const requests = Buffer.concat(plan.requests);
    const responses = Buffer.concat(plan.responses);
    const client = await connectRaw(t, sidecar.inbound);
    await writeInPieces(client.socket, requests, randomSizes(random, requests.length));
    assert.ok((await client.read(responses.length)).equals(responses), `connection ${i}: the answers differ`);
    client.socket.end();
    await client.readToEnd();
    const seen = server.connections[i]!.bytes().toString('latin1');
    const kept = seen.replaceAll(/^(traceparent|x-b3-\w+|x-request-id): .*\r\n/gm, '');
    assert.ok(kept === requests.toString('latin1'), `connection ${i}: the requests differ`);
    assert.equal(seen.match(/^traceparent: /gm)?.length, plan.requests.length);
    const spans = await sink.received(plan.requests.length, (span) =>
      String(span.attributes['url.path']).startsWith(`/${i}/`),
    );
    assert.deepEqual(
      spans.map((span) => [span.attributes['url.path'], span.attributes['http.response.status_code']]),
      plan.statuses.map((status, k) => [`/${i}/${k}`, status]),
    );
  }
  assert.equal(
    sink.spans.length,
    plans.reduce((sum, plan) => sum + plan.requests.length, 0),
  );
});

test('curl sees the same bytes directly and through the sidecar', async (t) => {
  const version = await run('curl', ['--version']).catch(() => undefined);
  if (version === undefined) return t.skip('curl is not installed');
  const server = http.createServer(async (request, response) => {
    let size = 0;
    for await (const chunk of request) size += (chunk as Buffer).length;
    response.setHeader('Date', 'now');
    response.statusCode = request.url === '/teapot' ? 418 : 200;
    response.setHeader('X-Order', ['1', '2']);
    response.end(`${request.method} ${request.url} ${size} ${'y'.repeat(100_000)}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  const serverPort = (server.address() as AddressInfo).port;
  const { sink, sidecar } = await startSidecarAndSink(t, serverPort);
  const upload = ['-T', process.execPath, '--limit-rate', '400M', '-r', '0-2000000'];
  const calls: string[][] = [
    ['/'],
    ['/teapot'],
    ['-I', '/head'],
    ['-0', '/ten'],
    ['--raw', '-d', 'x=1', '/form'],
    ['-H', 'Transfer-Encoding: chunked', '-d', 'x'.repeat(3000), '/chunked'],
    [...upload.slice(0, 2), '/upload'],
  ];
  for (const args of calls) {
    const outputs = [serverPort, sidecar.inbound].map(async (port) => {
      const url = `http://127.0.0.1:${port}${args.at(-1)}`;
      const options = ['-s', '-S', '-i', '-H', 'Host: same', ...args.slice(0, -1), url];
      return (await run('curl', options, { encoding: 'buffer', maxBuffer: 1 << 24 })).stdout;
    });
    const [direct, proxied] = await Promise.all(outputs);
    assert.ok(direct!.length > 0 && proxied!.equals(direct!), `curl ${args.join(' ').slice(0, 60)} differs`);
  }
  assert.equal((await sink.received(calls.length)).length, calls.length);
});
