import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { close, listen } from '../../src/runtime/listen.ts';
import { FakeOtlpHttp } from '../contract/support/fake-backend.ts';
import { request } from '../contract/support/senders.ts';
import { encodeByOracle } from '../formats/otlp/oracle.ts';
import { plainSpan, requestOf } from '../formats/otlp/samples.ts';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..');
const anyPorts = ['otlp-grpc', 'otlp-http', 'metrics', 'health', 'viewer', 'zipkin-api'].flatMap((flag) => [
  `--${flag}`,
  '0',
]);

function run(t: TestContext, ...flags: string[]): ChildProcess {
  const args = ['--import', 'tsx', 'src/cli/main.ts', 'collector', ...flags];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

interface Lines {
  readonly all: string[];
  /** The first log line with this message. */
  find(message: string): Promise<Record<string, unknown>>;
}

function readLines(child: ChildProcess): Lines {
  const all: string[] = [];
  const reader = createInterface({ input: child.stderr! });
  reader.on('line', (line) => all.push(line));
  const parsed = () =>
    all.filter((line) => line.startsWith('{')).map((line): Record<string, unknown> => JSON.parse(line));
  return {
    all,
    async find(message) {
      for (;;) {
        const found = parsed().find(({ msg }) => msg === message);
        if (found !== undefined) return found;
        await once(reader, 'line');
      }
    },
  };
}

const portOf = (address: unknown) => Number(String(address).split(':').at(-1));

test('it says where it listens and that the store is in memory, serves, and drains on SIGTERM', async (t) => {
  const backend = new FakeOtlpHttp();
  const port = await backend.start();
  t.after(() => backend.stop());
  const child = run(t, ...anyPorts, '--jaeger', `http://127.0.0.1:${port}`);
  const lines = readLines(child);
  const listening = await lines.find('listening');
  for (const name of ['otlpGrpc', 'otlpHttp', 'metrics', 'health', 'viewer', 'zipkinApi']) {
    assert.match(String(listening[name]), /^127\.0\.0\.1:[1-9]\d*$/, name);
  }
  await lines.find('the embedded store is in memory: its traces end with this process');
  const headers = { 'content-type': 'application/x-protobuf' };
  const body = encodeByOracle(requestOf([plainSpan(0)]));
  const target = { method: 'POST', path: '/v1/traces', headers };
  assert.equal((await request(portOf(listening.otlpHttp), target, body)).status, 200);
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const stored = await request(portOf(listening.zipkinApi), { path: `/api/v2/trace/${traceId}` });
  assert.equal(stored.status, 200);
  assert.match(stored.body.toString(), /"id":"0000000000000001"/);
  assert.equal((await request(portOf(listening.viewer), { path: `/api/traces/${traceId}` })).status, 200);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.deepEqual(backend.taken, ['GET /items/0']);
});

test('without a store there is no viewer', async (t) => {
  const child = run(t, ...anyPorts, '--no-store');
  const lines = readLines(child);
  const listening = await lines.find('listening');
  assert.deepEqual([listening.viewer, listening.zipkinApi], [undefined, undefined]);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

async function failure(t: TestContext, ...flags: string[]): Promise<[unknown, string]> {
  const child = run(t, ...flags);
  const { all } = readLines(child);
  const [code] = await once(child, 'close');
  return [code, all.filter((line) => !line.startsWith('{')).join('\n')];
}

test('an unusable flag, number, address or URL is one line and exit code 2', async (t) => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['--otlp-http', 'here'], /^tracecar: --otlp-http: "here" is not an address[^\n]*$/],
    [['--zipkin', 'zipkin:9411'], /^tracecar: --zipkin: "zipkin:9411"[^\n]*$/],
    [['--queue-bytes', '64MB'], /^tracecar: --queue-bytes: "64MB" is not a whole number of 1 or more$/],
    [['--max-store-spans', '0'], /^tracecar: --max-store-spans: "0" is not a whole number of 1 or more$/],
    [['--log-level', 'loud'], /^tracecar: --log-level: "loud"[^\n]*$/],
    [['--colour'], /^tracecar: unknown option '--colour'[^\n]*$/],
  ];
  const results = await Promise.all(cases.map(([flags]) => failure(t, ...anyPorts, ...flags)));
  for (const [index, [code, text]] of results.entries()) {
    assert.equal(code, 2);
    assert.match(text, cases[index]![1]);
  }
});

test('a taken port is one line and exit code 2', async (t) => {
  const taken = createServer();
  const { port } = await listen(taken, { host: '127.0.0.1', port: 0 }, 'test');
  t.after(() => close(taken));
  const [code, text] = await failure(t, ...anyPorts, '--no-store', '--otlp-grpc', String(port));
  assert.equal(code, 2);
  assert.match(
    text,
    new RegExp(`^tracecar: --otlp-grpc: cannot listen on 127.0.0.1:${port}: the port is taken[^\n]*$`),
  );
});
