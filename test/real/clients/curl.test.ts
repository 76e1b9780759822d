// curl through a sidecar, against nginx and against an application: the same answers, bytes, connections and spans.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { sumOf } from '../../../src/cli/demo/metrics-text.ts';
import { startOtlpSink } from '../../support/otlp-sink.ts';
import { startSidecar, startSidecarAndSink } from '../../support/sidecar.ts';
import { startEcho } from './support/application.ts';
import { absent, run, temporaryFolder } from './support/commands.ts';
import { startNginx } from './support/nginx.ts';
import {
  assertNothingLost,
  assertUnchanged,
  assertUnreadSpan,
  degradedReasons,
  marks,
  spanLine,
  spanLines,
  startWire,
} from './support/wire.ts';

const skip = absent('curl', 'nginx');

/** What curl printed, and how it ended, with the parts that change from run to run made alike. */
async function curl(port: number, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run('curl', [
    '-sS',
    ...args.map((arg) => arg.replace('{base}', `http://127.0.0.1:${port}`)),
  ]);
  return `${stdout}\nexit ${code} ${stderr}`
    .replaceAll(/^Date: .*\r$/gim, 'Date: now\r')
    .replaceAll(`:${port}`, ':port');
}

async function setUp(t: TestContext) {
  const application = await startEcho(t);
  const nginx = await startNginx(t, application.port);
  const folder = temporaryFolder(t, 'curl');
  const body = path.join(folder, 'body');
  writeFileSync(body, randomBytes(3 << 20));
  const text = 'All happy families are alike; each unhappy family is unhappy in its own way.\n'.repeat(2000);
  writeFileSync(path.join(nginx.files, 'text.txt'), text);
  writeFileSync(path.join(nginx.files, 'bytes'), randomBytes(300_000));
  return { application, nginx, body };
}

/** Each row: what it is, curl's arguments, and the span it must leave (method, path, status, body sizes). */
const cases: readonly (readonly [string, readonly string[], string])[] = [
  ['GET', ['-i', '{base}/text.txt'], 'GET /text.txt 200 0 154000'],
  ['GET of nothing', ['-i', '{base}/none'], 'GET /none 404 0 153'],
  ['HEAD', ['-I', '{base}/bytes'], 'HEAD /bytes 200 0 0'],
  ['HTTP/1.0', ['-i', '-0', '{base}/text.txt'], 'GET /text.txt 200 0 154000'],
  ['one range', ['-i', '-r', '100-199', '{base}/bytes'], 'GET /bytes 206 0 100'],
  [
    'If-Modified-Since',
    ['-i', '-H', 'If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT', '{base}/bytes'],
    'GET /bytes 304 0 0',
  ],
  ['OPTIONS', ['-i', '-X', 'OPTIONS', '{base}/app/o?x=1'], 'OPTIONS /app/o 200 0 '],
  ['a method of WebDAV', ['-i', '-X', 'PROPFIND', '{base}/app/dav'], 'PROPFIND /app/dav 200 0 '],
  ['POST of a form', ['-i', '-d', 'a=1&b=2', '{base}/app/form'], 'POST /app/form 200 7 '],
  [
    'POST, chunked',
    ['-i', '-H', 'Transfer-Encoding: chunked', '-H', 'Expect:', '--data-binary', '@{body}', '{base}/app/chunked'],
    'POST /app/chunked 200 3145728 ',
  ],
  [
    'upload with Expect: 100-continue',
    ['-i', '-H', 'Expect: 100-continue', '-T', '{body}', '{base}/app/put'],
    'PUT /app/put 200 3145728 ',
  ],
  ['a password', ['-i', '-u', 'somebody:secret', '{base}/private'], 'GET /private 404 0 153'],
  ['no password', ['-i', '{base}/private'], 'GET /private 401 0 179'],
];

test('curl sees through a sidecar in front of nginx what it sees directly', { skip }, async (t) => {
  const { nginx, body } = await setUp(t);
  const wire = await startWire(t, nginx.port);
  for (const [name, args] of cases) {
    const given = args.map((arg) => arg.replace('{body}', body));
    assert.equal(await curl(wire.through, given), await curl(wire.direct, given), name);
  }
  assert.equal(await assertUnchanged(wire), cases.length);
  assert.ok(
    wire.inside.connections.every((tapped) => marks(tapped) === 1),
    'each request got trace headers',
  );
  const spans = await spanLines(wire.sink, cases.length);
  for (const [i, [name, , line]] of cases.entries()) assert.equal(spans[i]?.slice(0, line.length), line, name);
  assert.deepEqual(await degradedReasons(wire), []);
  await assertNothingLost(wire);
});

test('curl gets a compressed answer, still compressed on the wire', { skip }, async (t) => {
  const { nginx } = await setUp(t);
  const wire = await startWire(t, nginx.port);
  const args = ['--compressed', '-D', '-', '{base}/text.txt'];
  const through = await curl(wire.through, args);
  assert.equal(through, await curl(wire.direct, args));
  assert.match(through, /Content-Encoding: gzip\r\n/);
  assert.match(through, /unhappy in its own way\./);
  await assertUnchanged(wire);
  const [line = ''] = await spanLines(wire.sink, 1);
  assert.ok(Number(line.split(' ')[4]) < 5000, `the span counts the bytes on the wire: ${line}`);
});

test('curl sends its next requests on the connection it has, and the server sees one connection', {
  skip,
}, async (t) => {
  const { application } = await setUp(t);
  const wire = await startWire(t, application.port);
  const before = application.seen.length;
  const args = Array.from({ length: 5 }, (_, i) => ['-o', '/dev/null', `{base}/${i}`]).flat();
  const format = ['-w', '%{num_connects} %{http_code} %{size_download}\\n'];
  const through = await curl(wire.through, [...format, ...args]);
  const direct = await curl(wire.direct, [...format, ...args]);
  assert.equal(through, direct);
  assert.deepEqual(through.match(/^\d(?= 200)/gm), ['1', '0', '0', '0', '0']);
  const requests = ['GET /0 0', 'GET /1 0', 'GET /2 0', 'GET /3 0', 'GET /4 0'];
  assert.deepEqual(application.seen.slice(before), [requests, requests]);
  assert.equal(await assertUnchanged(wire), 1);
  assert.equal(marks(wire.inside.connections[0]!), 5);
});

test('a PROXY header goes on to nginx, and the span names the client it names', { skip }, async (t) => {
  const application = await startEcho(t);
  const nginx = await startNginx(t, application.port, 'proxy_protocol', ['add_header X-From $proxy_protocol_addr;']);
  writeFileSync(path.join(nginx.files, 'page'), 'hello\n');
  const wire = await startWire(t, nginx.port);
  const args = ['-i', '--haproxy-protocol', '{base}/page', '{base}/page'];
  const through = await curl(wire.through, args);
  assert.equal(through, await curl(wire.direct, args));
  assert.match(through, /X-From: 127\.0\.0\.1\r\n/);
  assert.equal(await assertUnchanged(wire), 1);
  const sent = Buffer.concat(wire.outside.connections[0]!.fromClient).toString('latin1');
  const port = /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 (\d+) /.exec(sent)?.[1];
  const spans = await wire.sink.received(2);
  assert.deepEqual(spans.map(spanLine), ['GET /page 200 0 6', 'GET /page 200 0 6']);
  for (const span of spans) assert.equal(span.attributes['network.peer.port'], Number(port));
});

test('HTTP/2 by prior knowledge passes, with one span for its connection', { skip }, async (t) => {
  const application = await startEcho(t);
  const nginx = await startNginx(t, application.port, 'http2');
  writeFileSync(path.join(nginx.files, 'page'), 'hello\n'.repeat(10_000));
  const wire = await startWire(t, nginx.port);
  const args = [
    '-i',
    '--http2-prior-knowledge',
    '-w',
    '%{http_version} %{num_connects}\\n',
    '{base}/page',
    '{base}/page',
  ];
  const through = await curl(wire.through, args);
  assert.equal(through, await curl(wire.direct, args));
  assert.match(through, /^HTTP\/2 200 \r\n/);
  assert.equal(await assertUnchanged(wire), 1);
  await assertUnreadSpan(wire, { 'tracecar.protocol': 'http2', 'network.protocol.name': 'http' });
});

/** How many of `tries` uploads of 3 MiB end with `status` in curl's hands. */
async function answered(port: number, status: string, path: string, body: string, tries: number): Promise<number> {
  let count = 0;
  for (let i = 0; i < tries; i++) {
    const args = ['-o', '/dev/null', '-w', '%{http_code}', '-H', 'Expect:', '-T', body, `{base}${path}`];
    if ((await curl(port, args)).startsWith(status)) count++;
  }
  return count;
}

for (const [status, where] of [
  ['413', '/limited/upload'],
  ['401', '/private/upload/x'],
] as const) {
  test(`a ${status} in the middle of an upload reaches curl as often as directly, in 40 tries`, { skip }, async (t) => {
    const { nginx, body } = await setUp(t);
    const { sidecar, sink } = await startSidecarAndSink(t, nginx.port);
    const direct = await answered(nginx.port, status, where, body, 40);
    const through = await answered(sidecar.inbound, status, where, body, 40);
    t.diagnostic(`${status}: ${direct} of 40 directly, ${through} of 40 through the sidecar`);
    assert.ok(through >= direct, `${through} of 40 through the sidecar, ${direct} directly`);
    assert.ok(direct > 0, 'the server answers early');
    const spans = await sink.received(40);
    assert.deepEqual([...new Set(spans.map((span) => span.attributes['http.response.status_code']))], [Number(status)]);
  });
}

for (const workers of ['1', '2']) {
  const name = `wrk has no socket error with --concurrency ${workers}, no answer but 200, and every request is counted`;
  test(name, { skip: absent('wrk', 'nginx') }, async (t) => {
    const { nginx } = await setUp(t);
    writeFileSync(path.join(nginx.files, 'small'), 'x'.repeat(100));
    const sink = await startOtlpSink(t);
    const sidecar = await startSidecar(t, { inbound: nginx.port, otlp: sink.url, args: ['--concurrency', workers] });
    const { code, stdout } = await run('wrk', ['-t1', '-c16', '-d2s', `http://127.0.0.1:${sidecar.inbound}/small`]);
    assert.equal(code, 0, stdout);
    assert.doesNotMatch(stdout, /Socket errors|Non-2xx/);
    const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
    assert.ok(requests > 100, stdout);
    const counted = sumOf(await sidecar.metrics(), 'tracecar_requests_total', { response_code: '200' });
    // wrk leaves at most one request a connection unread when its time is up.
    assert.ok(counted >= requests && counted <= requests + 16, `${counted} counted, ${requests} made`);
    const { created, exported, dropped, queued } = await sidecar.ledger();
    assert.equal(created, exported + dropped + queued);
  });
}
