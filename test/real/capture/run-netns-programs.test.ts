// Programs in several languages under `run --netns`, none of which knows anything of tracing or of a proxy: each call is a span.
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import https from 'node:https';
import path from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { certificate } from '../../support/certificate.ts';
import { noNamespaces } from '../../support/network-namespace.ts';
import type { SinkSpan } from '../../support/otlp-sink.ts';
import { absent, python, run } from '../clients/support/commands.ts';
import { keptFolder } from '../clients/support/kept-folder.ts';
import { listenThere, type Machine, machineAddress, serveHttp, startMachine, world } from './run-netns/machine.ts';

const folder = keptFolder('run-netns');
const programs = path.join(import.meta.dirname, 'run-netns', 'programs');
const goClient = path.join(folder.path, 'client');

function unless(...names: readonly string[]): string | false {
  return noNamespaces || absent(...names);
}

before(async () => {
  if (noNamespaces !== false) return;
  const compilers: [string, readonly string[]][] = [
    ['go', ['build', '-o', goClient, path.join(programs, 'client.go')]],
    ['javac', ['-d', folder.path, path.join(programs, 'Client.java')]],
  ];
  for (const [compiler, args] of compilers) {
    if (absent(compiler) !== false) continue;
    const { code, stderr } = await run(compiler, args, { timeoutMs: 170_000 });
    assert.equal(code, 0, stderr);
  }
});
after(() => folder.remove());

const port = 8080;
const urls = [`http://${world.v4}:${port}/four`, `http://[${world.v6}]:${port}/six`];

/** A server in the network behind the machine, which says what it was asked for, by whom, and whether in a trace. */
async function startWorld(t: TestContext): Promise<Machine> {
  const machine = await startMachine(t);
  for (const host of [world.v4, world.v6]) {
    await serveHttp(t, machine.worldSockets, { host, port }, ({ url, socket, headers }) => {
      const traced = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/.test(String(headers.traceparent));
      return `${url} from ${socket.remoteAddress}, ${traced ? 'traced' : 'not traced'}`;
    });
  }
  return machine;
}

const answers = [`200 /four from ${machineAddress.v4}, traced`, `200 /six from ${machineAddress.v6}, traced`];

function shown({ kind, service, attributes }: SinkSpan): string {
  return [
    kind,
    service,
    ...['url.path', 'http.response.status_code', 'server.address'].map((name) => attributes[name]),
  ].join(' ');
}

/** Two calls of each family, and a span for each and nothing else. */
async function assertTraced(machine: Machine, service: string): Promise<void> {
  const spans = await machine.sink.received(4);
  assert.deepEqual(spans.map(shown).sort(), [
    `CLIENT ${service} /four 200 ${world.v4}`,
    `CLIENT ${service} /four 200 ${world.v4}`,
    `CLIENT ${service} /six 200 ${world.v6}`,
    `CLIENT ${service} /six 200 ${world.v6}`,
  ]);
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 4);
}

test('curl: one CLIENT span for each call, none of whose flags or variables say so', {
  skip: unless('curl'),
}, async (t) => {
  const machine = await startWorld(t);
  const command = ['curl', '-sS', '-g', '-w', '\n', ...urls];
  const { stdout, stderr, code } = await machine.run(command, { env: { no_proxy: 'x' } });
  assert.equal(stdout, answers.map((line) => `${line.slice('200 '.length)}\n`).join(''), stderr);
  assert.equal(code, 0);
  const spans = await machine.sink.received(2);
  assert.deepEqual(spans.map(shown), [`CLIENT curl /four 200 ${world.v4}`, `CLIENT curl /six 200 ${world.v6}`]);
  assert.deepEqual(
    spans.map(({ attributes }) => attributes.upstream_cluster),
    [`outbound|${port}||${world.v4}`, `outbound|${port}||${world.v6}`],
  );
  assert.match(
    stderr,
    /^tracecar: spans of curl go to .*; all of its TCP is captured in the namespace tracecar-[0-9a-f]{6} /,
  );
});

test('Python: urllib and http.client', { skip: unless(python) }, async (t) => {
  const machine = await startWorld(t);
  const { stdout, stderr } = await machine.run([python, path.join(programs, 'client.py'), ...urls], {
    flags: ['--service', 'python'],
  });
  assert.equal(stdout, answers.map((line) => `${line}\n${line}\n`).join(''), stderr);
  await assertTraced(machine, 'python');
});

test('Java: java.net.http.HttpClient and HttpURLConnection', { skip: unless('java', 'javac') }, async (t) => {
  const machine = await startWorld(t);
  const { stdout, stderr } = await machine.run(['java', '-cp', folder.path, 'Client', ...urls]);
  assert.equal(stdout, answers.map((line) => `${line}\n${line}\n`).join(''), stderr);
  assert.doesNotMatch(stderr, /JAVA_TOOL_OPTIONS/);
  await assertTraced(machine, 'java');
});

test('Go: net/http', { skip: unless('go') }, async (t) => {
  const machine = await startWorld(t);
  const { stdout, stderr } = await machine.run([goClient, ...urls]);
  assert.equal(stdout, answers.map((line) => `${line}\n${line}\n`).join(''), stderr);
  await assertTraced(machine, 'client');
});

test('TLS passes unread, with one span for the connection', { skip: unless('curl') }, async (t) => {
  const machine = await startMachine(t);
  const server = https.createServer(certificate, (_, response) => response.end('secret'));
  await listenThere(t, server, machine.worldSockets, { host: world.v4, port: 443 });
  const to = `shop.example:443:${world.v4}`;
  const { stdout, stderr } = await machine.run(['curl', '-sSk', '--resolve', to, 'https://shop.example/']);
  assert.equal(stdout, 'secret', stderr);
  const [span, ...others] = await machine.sink.received(1);
  assert.deepEqual(others, []);
  assert.equal(span?.name, 'tls shop.example:443');
  assert.equal(span?.attributes.requested_server_name, 'shop.example');
  assert.ok(Number(span?.attributes['tracecar.bytes_from_server']) > 'secret'.length);
});

test('UDP passes, and leaves no span', { skip: noNamespaces }, async (t) => {
  const machine = await startMachine(t);
  const echo = createSocket('udp4');
  echo.on('message', (bytes, { port: from, address }) => echo.send(`${bytes} from ${address}`, from, address));
  echo.bind({ fd: machine.worldSockets.udp({ host: world.v4, port: 5000 }).descriptor! });
  t.after(() => echo.close());
  const code = `const socket = require('node:dgram').createSocket('udp4');
    socket.on('message', (bytes) => { console.log(String(bytes)); socket.close(); });
    socket.send('hello', 5000, '${world.v4}');`;
  const { stdout, stderr } = await machine.run([process.execPath, '-e', code]);
  assert.equal(stdout, `hello from ${machineAddress.v4}\n`, stderr);
  assert.deepEqual(machine.sink.spans, []);
});

test('a server under --port has a SERVER span for each caller, and its own calls join that trace', {
  skip: noNamespaces,
}, async (t) => {
  const machine = await startWorld(t);
  const code = `const http = require('node:http');
    const server = () => http.createServer((request, response) => {
      const { traceparent } = request.headers;
      http.get('${urls[0]}', { headers: { traceparent } }, (answer) => answer.pipe(response));
    });
    server().listen(3001, () => server().listen(3000, '127.0.0.1', () => require('node:fs').writeSync(2, 'serves\\n')));
    process.on('SIGTERM', () => process.exit(7));`;
  const flags = ['--service', 'shop', '--port', '127.0.0.1:15006=3000'];
  const program = await machine.start([process.execPath, '-e', code], flags);
  assert.deepEqual(program.listening.inbound, ['127.0.0.1:15006=127.0.0.1:3000']);
  while (!program.stderr.includes('serves')) await once(program.process.stderr!, 'data');
  const asked = await machine.namespace.run('curl', '-sS', 'http://127.0.0.1:15006/order');
  assert.equal(asked, `/four from ${machineAddress.v4}, traced`);
  // Its own address takes callers, too, through the rules.
  const [address = ''] = program.listening.addresses as string[];
  assert.equal(await machine.namespace.run('curl', '-sS', `http://${address}:3001/direct`), asked);
  const refused = await machine.namespace.attempt('curl', '-sS', `http://${address}:3000/refused`);
  assert.equal(refused.code, 56, 'it listens on loopback only there, so the connection is reset');
  const admin = await machine.namespace.run('curl', '-sS', `http://${String(program.listening.admin)}/ready`);
  assert.match(admin, /LIVE/);
  assert.deepEqual(await program.stop(), { code: 7, signal: null });
  const server = machine.sink.spans.filter(({ kind, statusCode }) => kind === 'SERVER' && statusCode !== 2);
  const client = machine.sink.spans.filter(({ kind }) => kind === 'CLIENT');
  assert.deepEqual(server.map(shown), ['SERVER shop /order 200 127.0.0.1', `SERVER shop /direct 200 ${address}`]);
  assert.deepEqual(
    server.map(({ attributes }) => [attributes.upstream_cluster, attributes['client.address']]),
    [
      ['inbound|3000||', '127.0.0.1'],
      ['inbound|3001||', address.replace(/\d+$/, (last) => String(Number(last) - 1))],
    ],
  );
  const call = `CLIENT shop /four 200 ${world.v4}`;
  assert.deepEqual(client.map(shown), [call, call]);
  assert.deepEqual(
    client.map(({ traceId, parentSpanId }) => [traceId, parentSpanId]),
    server.map(({ traceId, spanId }) => [traceId, spanId]),
  );
});

test('a call through the forward proxy of --outbound-proxy is one span, as any other', {
  skip: unless('curl'),
}, async (t) => {
  const machine = await startWorld(t);
  const proxied = ['--proxy', 'http://127.0.0.1:3128'];
  const command = ['curl', '-sS', '-g', '-w', '\n', ...proxied, ...urls, '--next', '-sS', urls[0]!];
  const { stdout, stderr } = await machine.run(command, { flags: ['--outbound-proxy', '3128'] });
  assert.equal(stdout.match(/, traced/g)?.length, 3, stderr);
  const spans = await machine.sink.received(3);
  assert.deepEqual(spans.map(shown).sort(), [
    `CLIENT curl /four 200 ${world.v4}`,
    `CLIENT curl /four 200 ${world.v4}`,
    `CLIENT curl /six 200 ${world.v6}`,
  ]);
});
