import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cut, Observed } from './observed.ts';

const get = 'GET /a HTTP/1.1\r\nHost: x\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

const span = (method: string, target: string, status: number, requestBytes = 0, responseBytes = 0) => ({
  method,
  target,
  status,
  requestBytes,
  responseBytes,
  errorType: '',
  responseFlag: '-',
});

test('an exchange is one span and its head goes on with our lines before the blank line', () => {
  const seen = new Observed().client(get).server(ok);
  assert.match(seen.forwarded, /^GET \/a HTTP\/1\.1\r\nHost: x\r\ntraceparent: 00-.*\r\n\r\n$/s);
  assert.equal(seen.original, get);
  assert.deepEqual(seen.spans, [{ ...span('GET', '/a', 200, 0, 2) }]);
  assert.deepEqual(seen.detected, ['http1']);
});

test('pipelined requests are answered first in, first out', () => {
  const requests = ['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join('');
  const answers = [201, 202, 203].map((status) => `HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`).join('');
  const seen = new Observed().client(requests).server(answers);
  assert.deepEqual(seen.spans, [span('GET', '/1', 201), span('GET', '/2', 202), span('GET', '/3', 203)]);
  assert.equal(seen.original, requests);
});

test('1xx other than 101 does not answer a request', () => {
  const early = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
  const seen = new Observed()
    .client(get, get)
    .server(early + ok)
    .server(ok);
  assert.deepEqual(
    seen.spans.map(({ status }) => status),
    [200, 200],
  );
});

test('HEAD, 204 and 304 have no body whatever their heads say', () => {
  const seen = new Observed()
    .client('HEAD /h HTTP/1.1\r\n\r\n', get, get, get)
    .server('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
    .server('HTTP/1.1 204 No Content\r\n\r\n')
    .server('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n')
    .server(ok);
  assert.deepEqual(
    seen.spans.map(({ status, responseBytes }) => [status, responseBytes]),
    [
      [200, 0],
      [204, 0],
      [304, 0],
      [200, 2],
    ],
  );
});

test('a final answer before the request has ended keeps its place until both are done', () => {
  const seen = new Observed()
    .client('POST /up HTTP/1.1\r\nContent-Length: 10\r\n\r\n123')
    .server('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n');
  assert.deepEqual(seen.spans, []);
  assert.equal(seen.observer.hasEarlyAnswer, true);
  seen.client(`4567890${get}`).server(ok);
  assert.deepEqual(seen.spans, [span('POST', '/up', 413, 10), span('GET', '/a', 200, 0, 2)]);
});

test('a response until close ends with the server', () => {
  const seen = new Observed().client(get).server('HTTP/1.1 200 OK\r\n\r\nabc', 'def');
  assert.deepEqual(seen.spans, []);
  seen.observer.serverEnded();
  assert.deepEqual(seen.spans, [span('GET', '/a', 200, 0, 6)]);
});

test('a response cut short ends its span with the reason', () => {
  const seen = new Observed().client(get, get).server('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc').finish();
  assert.deepEqual(seen.spans, [
    { ...span('GET', '/a', 200, 0, 3), errorType: 'response_incomplete', responseFlag: 'UC' },
    { ...span('GET', '/a', 0), errorType: 'no_response', responseFlag: 'UC' },
  ]);
});

test('an unsolicited response makes no span and is counted', () => {
  const seen = new Observed().server('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  assert.equal(seen.stats.unsolicitedResponses, 1);
  seen.client(get).finish();
  assert.deepEqual(
    seen.spans.map(({ errorType }) => errorType),
    ['no_response'],
  );
});

test('requests pipelined behind Connection: close get no span and no line', () => {
  const closing = 'GET /last HTTP/1.1\r\nConnection: close\r\n\r\n';
  const seen = new Observed().client(closing + get).server(ok);
  assert.deepEqual(seen.spans, [span('GET', '/last', 200, 0, 2)]);
  assert.equal(seen.insertions, 1);
  assert.equal(seen.original, closing + get);
});

test('an upgrade makes the connection a tunnel within its span', () => {
  const upgrade = 'GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  const seen = new Observed()
    .client(upgrade)
    .server('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
    .client('\x81\x85', 'GET / HTTP/1.1\r\n\r\n')
    .server('\x81\x02hi');
  assert.deepEqual(seen.spans, []);
  assert.equal(seen.original, `${upgrade}\x81\x85GET / HTTP/1.1\r\n\r\n`);
  seen.finish();
  assert.deepEqual(seen.spans, [span('GET', '/ws', 101, 20, 4)]);
  assert.deepEqual(seen.degraded, []);
});

test('101 that nobody asked for makes the connection opaque', () => {
  const seen = new Observed().client(get).server('HTTP/1.1 101 X\r\n\r\n');
  assert.deepEqual(seen.degraded, ['unexpected_101']);
  assert.equal(seen.client(get).insertions, 1);
});

test('CONNECT tunnels after 2xx and goes on as HTTP after a refusal', () => {
  const connect = 'CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n';
  const tunnel = new Observed().client(connect).server('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n');
  assert.equal(tunnel.client(get).insertions, 1);
  const refused = new Observed().client(connect).server('HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n');
  assert.equal(refused.client(get).insertions, 2);
  const early = new Observed().client(connect + get).server('HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n');
  assert.equal(early.client(get).insertions, 1);
});

const heads: readonly (readonly [string, string])[] = [
  ['GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', 'content_length_and_chunked'],
  ['GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx', 'repeated_content_length'],
  ['POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'transfer_encoding_in_http10'],
  ['CONNECT x:1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello', 'connect_with_body'],
  ['GET / HTTP/1.1\nHost: x\n\n', 'bare_lf'],
  ['GET /\r\n', 'bad_request_line'],
];

for (const [text, reason] of heads) {
  test(`${JSON.stringify(text)} turns the connection opaque: ${reason}`, () => {
    for (let split = 1; split < text.length; split++) {
      const seen = new Observed().client(...cut(text + get, [split]));
      assert.deepEqual(seen.degraded, [reason], `split at ${split}`);
      assert.equal(seen.forwarded, text + get);
    }
  });
}

test('a doubt in a request body ends the open spans and nothing is inserted behind it', () => {
  const bad = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n';
  const seen = new Observed().client(bad, get);
  assert.deepEqual(seen.degraded, ['bad_request_body']);
  assert.equal(seen.insertions, 1);
  assert.equal(seen.original, bad + get);
  assert.deepEqual(
    seen.spans.map(({ errorType, responseFlag }) => [errorType, responseFlag]),
    [['bad_request_body', 'DPE']],
  );
});

test('a response with length and chunked turns the connection opaque', () => {
  const seen = new Observed()
    .client(get)
    .server('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n');
  assert.deepEqual(seen.degraded, ['response_content_length_and_chunked']);
});

for (const [name, bytes] of [
  ['tls', '\x16\x03\x01\x02\x00\x01'],
  ['http2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['opaque', '*1\r\n$4\r\nPING\r\n'],
] as const) {
  test(`${name} is told by its first bytes and passes unread`, () => {
    for (let split = 1; split < bytes.length; split++) {
      const seen = new Observed().client(...cut(bytes, [split]));
      assert.equal(seen.forwarded, bytes);
      assert.deepEqual(seen.degraded, []);
      // A method could still begin with the first letters; the rest says it does not.
      assert.equal(seen.detected.length, 1);
      if (split > 1) assert.deepEqual(seen.detected, [name]);
    }
  });
}

test('a request line that is not complete is never held back', () => {
  const seen = new Observed().client('HELO');
  assert.equal(seen.forwarded, 'HELO');
  seen.client(' there\r\n');
  assert.equal(seen.forwarded, 'HELO there\r\n');
});

test('a head held back goes on when the client ends', () => {
  const seen = new Observed().client('GET / HTTP/1.1\r\nHo');
  assert.equal(seen.forwarded, '');
  seen.observer.clientEnded();
  assert.equal(seen.forwarded, 'GET / HTTP/1.1\r\nHo');
});

test('trace headers that came are replaced, everything else stays where it was', () => {
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const seen = new Observed().client(
    `GET / HTTP/1.1\r\nA: 1\r\nTraceParent:  ${parent}\r\nB: 2\r\nX-Request-Id: mine\r\ntracestate: a=1\r\nb: \r\n\r\n`,
  );
  const [, spanId] = /traceparent: 00-0af7651916cd43dd8448eb211c80319c-([0-9a-f]{16})-01/.exec(seen.forwarded) ?? [];
  assert.notEqual(spanId, 'b7ad6b7169203331');
  assert.equal(
    seen.forwarded,
    `GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nX-Request-Id: mine\r\ntracestate: a=1\r\nb: \r\n` +
      `traceparent: 00-0af7651916cd43dd8448eb211c80319c-${spanId}-01\r\n` +
      `x-b3-traceid: 0af7651916cd43dd8448eb211c80319c\r\nx-b3-spanid: ${spanId}\r\n` +
      'x-b3-parentspanid: b7ad6b7169203331\r\nx-b3-sampled: 1\r\n\r\n',
  );
});

test('nothing is added to a head that would pass the budget', () => {
  const long = `GET / HTTP/1.1\r\nCookie: ${'c'.repeat(8150)}\r\n\r\n`;
  const seen = new Observed().client(long).server(ok);
  assert.equal(seen.forwarded, long);
  assert.equal(seen.stats.headBudget, 1);
  assert.equal(seen.spans.length, 1);
});

test('probes and telemetry are passed on untouched and make no span', () => {
  const probe = 'GET /healthz HTTP/1.1\r\nUser-Agent: kube-probe/1.30\r\n\r\n';
  const seen = new Observed().client(probe).server(ok);
  assert.equal(seen.forwarded, probe);
  assert.deepEqual(seen.spans, []);
  assert.equal(seen.stats.inbound.requests[200], 1);
});

for (const site of ['open', 'close'] as const) {
  test(`an exception in ${site} turns the connection opaque and no byte is lost or doubled`, () => {
    const post = 'POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc';
    for (let split = 1; split < post.length; split++) {
      const seen = new Observed();
      const pieces = cut(post + get, [split]);
      Object.assign(seen.tracer, {
        [site]: () => {
          throw new Error('fault');
        },
      });
      seen
        .client(...pieces)
        .server(ok)
        .client(get);
      assert.equal(seen.original, post + get + get, `split at ${split}`);
      assert.equal(seen.faults.length, 1);
      assert.deepEqual(seen.degraded, ['observer_error']);
    }
  });
}

// Properties.

const token = fc.stringMatching(/^[a-z][a-z-]{0,10}$/);
const payload = fc.string({ unit: 'binary-ascii', maxLength: 300 });

const body = fc.oneof(
  fc.constant({ lines: '', bytes: '', payload: 0 }),
  payload.map((text) => ({ lines: `Content-Length: ${text.length}\r\n`, bytes: text, payload: text.length })),
  fc
    .array(
      payload.filter((text) => text !== ''),
      { maxLength: 4 },
    )
    .map((chunks) => ({
      lines: 'Transfer-Encoding: chunked\r\n',
      bytes: `${chunks.map((chunk) => `${chunk.length.toString(16)};x\r\n${chunk}\r\n`).join('')}0\r\nT: v\r\n\r\n`,
      payload: chunks.join('').length,
    })),
);

const exchange = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'PROPFIND'),
  target: token.map((text) => `/${text}`),
  fields: fc.array(fc.tuple(token, fc.stringMatching(/^[ -~]{0,30}$/)), { maxLength: 5 }),
  request: body,
  response: body.filter(({ lines }) => lines !== ''),
  status: fc.constantFrom(200, 404, 500),
});

const reserved = /^(b3|baggage|host|connection|upgrade|traceparent|tracestate|content-length|transfer-encoding|x-)/;

test('any split of any valid stream gives the same bytes and the same spans', () => {
  fc.assert(
    fc.property(
      fc.array(exchange, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (exchanges, clientCuts, serverCuts) => {
        const requests = exchanges.map(({ method, target, fields, request }) => {
          const lines = fields.filter(([name]) => !reserved.test(name)).map(([name, value]) => `${name}:${value}\r\n`);
          return `${method} ${target} HTTP/1.1\r\n${lines.join('')}${request.lines}\r\n${request.bytes}`;
        });
        const responses = exchanges.map(
          ({ method, response, status }) =>
            `HTTP/1.1 ${status} X\r\n${response.lines}\r\n${method === 'HEAD' ? '' : response.bytes}`,
        );
        const seen = new Observed()
          .client(...cut(requests.join(''), clientCuts))
          .server(...cut(responses.join(''), serverCuts));
        assert.equal(seen.original, requests.join(''));
        assert.equal(seen.insertions, exchanges.length);
        assert.deepEqual(
          seen.spans.map(({ method, target, status, requestBytes, responseBytes }) => [
            method,
            target,
            status,
            requestBytes,
            responseBytes,
          ]),
          exchanges.map(({ method, target, status, request, response }) => [
            method,
            target,
            status,
            request.payload,
            method === 'HEAD' ? 0 : response.payload,
          ]),
        );
        assert.deepEqual([seen.degraded, seen.faults], [[], []]);
      },
    ),
    { numRuns: 300 },
  );
});

test('whatever the bytes, what goes on is what came, plus our lines', () => {
  const pieces = fc.constantFrom(
    get,
    'POST /x HTTP/1.1\r\n',
    'Content-Length: 4\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    '\r\n',
    '\n',
    '4\r\nWiki\r\n0\r\n\r\n',
    '\x00',
    ' ',
    'HTTP/1.1 200 OK\r\n',
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(pieces, fc.string({ unit: 'binary-ascii', maxLength: 8 })), { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      fc.array(
        fc.oneof(
          fc.constantFrom(ok, 'HTTP/1.1 101 X\r\n\r\n', 'HTTP/1.1 200 OK\r\n', '\r\n'),
          fc.string({ maxLength: 8 }),
        ),
      ),
      (parts, cuts, answers) => {
        const text = parts.join('');
        const seen = new Observed();
        const clientPieces = cut(text, cuts);
        for (let i = 0; i < Math.max(clientPieces.length, answers.length); i++) {
          if (clientPieces[i] !== undefined) seen.client(clientPieces[i]!);
          if (answers[i] !== undefined && answers[i] !== '') seen.server(answers[i]!);
        }
        seen.finish();
        assert.equal(seen.original, text);
        assert.deepEqual(seen.faults, []);
        assert.equal(seen.observer.requestsOpen, 0);
      },
    ),
    { numRuns: 2000 },
  );
});
