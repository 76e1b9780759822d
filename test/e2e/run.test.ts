// Promise: `tracecar run -- CMD` is CMD, but traced: its calls, its callers, its signals, its exit code.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startApplication } from '../support/load.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { runProgram, startProgram } from '../support/programs.ts';

const node = process.execPath;
const nowhere = ['--otlp-endpoint', 'http://127.0.0.1:9', '--log-level', 'silent'];

/** `run` with a script of Node as the command. */
function script(code: string, ...flags: string[]): string[] {
  return ['run', ...flags, '--', node, '-e', code];
}

/** The command asks for `url` by its proxy, as a client of the absolute form does, and then calls `then`. */
function callThroughProxy(url: string, headers: string, then: string): string {
  return `const proxy = new URL(process.env.HTTP_PROXY);
    require('node:http').get({ host: proxy.hostname, port: proxy.port, path: ${url}, headers: ${headers} }, (answer) => {
      answer.resume().on('end', () => { ${then} });
    });`;
}

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'tracecar-run-'));
  t.after(() => rm(made, { recursive: true }));
  return made;
}

test('the exit code is the command’s, or what a shell makes of its end', async (t) => {
  const plain = path.join(await folder(t), 'plain');
  writeFileSync(plain, 'text', { mode: 0o644 });
  const cases: [readonly string[], number, RegExp][] = [
    [[node, '-e', 'process.exit(3)'], 3, /^$/],
    [[node, '-e', 'process.kill(process.pid, "SIGKILL")'], 137, /^$/],
    [['no-such-command'], 127, /^tracecar: no-such-command: command not found\n$/],
    [[plain], 126, /^tracecar: .*plain: not executable\n$/],
  ];
  for (const [command, code, stderr] of cases) {
    const ended = await runProgram(['run', ...nowhere, '--', ...command]);
    assert.equal(ended.code, code, command.join(' '));
    assert.match(ended.stderr, stderr);
  }
});

test('bad usage is one line and code 2, and the command is not started', async () => {
  for (const [flags, message] of [
    [['--port', 'x'], /--port: "x" is not an address/],
    [['--port', '0'], /--port: .* cannot be 0/],
    [['--bogus'], /unknown option '--bogus'/],
  ] as const) {
    const ended = await runProgram(['run', ...flags, '--', node, '-e', 'console.log("started")']);
    assert.equal(ended.code, 2);
    assert.match(ended.stderr, message);
    assert.equal(ended.stderr.trim().split('\n').length, 1);
    assert.equal(ended.stdout, '');
  }
  assert.equal((await runProgram(['run'])).code, 2);
});

test('a command’s own flags are its own, with or without the dashes', async () => {
  const print = 'console.log(process.argv.slice(1).join())';
  for (const dashes of [['--'], []]) {
    const ended = await runProgram(['run', ...nowhere, ...dashes, node, '-e', print, '--', '--port', '1', '-x']);
    assert.equal(ended.stdout, '--port,1,-x\n');
    assert.equal(ended.code, 0);
  }
});

test('one line says where the spans go and what listens where', async () => {
  const ended = await runProgram(
    ['run', '--otlp-endpoint', 'http://user:secret@127.0.0.1:9', '--port', '127.0.0.1:0=8080', '--', node, '-e', '0'],
    { env: { LOG_LEVEL: '' } },
  );
  assert.match(
    ended.stderr,
    /^tracecar: spans of node go to http:\/\/127\.0\.0\.1:9 \(grpc\); inbound 127\.0\.0\.1:\d+ to 127\.0\.0\.1:8080; outbound by HTTP_PROXY=http:\/\/127\.0\.0\.1:\d+; admin http:\/\/127\.0\.0\.1:\d+\n$/,
  );
});

test('the last call’s span is delivered before the end, under the name of the command', async (t) => {
  const sink = await startOtlpSink(t);
  const application = await startApplication(t);
  const url = `'http://127.0.0.1:${application}/last'`;
  const flags = ['--otlp-endpoint', sink.url, '--otlp-protocol', 'http/protobuf'];
  const ended = await runProgram(script(callThroughProxy(url, '{}', 'process.exit(5)'), ...flags));
  assert.equal(ended.code, 5);
  assert.equal(sink.spans.length, 1, 'it has come by the time the program has ended');
  assert.equal(sink.spans[0]!.service, path.basename(node));
  assert.equal(sink.spans[0]!.attributes['url.path'], '/last');
});

test('who calls the command and what it calls for them are one trace', async (t) => {
  const sink = await startOtlpSink(t);
  const backend = await startApplication(t);
  const port = await freePort();
  const call = callThroughProxy(
    `'http://127.0.0.1:${backend}/backend'`,
    '{ traceparent: request.headers.traceparent }',
    "response.end('done')",
  );
  const code = `require('node:http').createServer((request, response) => { ${call} }).listen(${port}, '127.0.0.1');
    process.on('SIGTERM', () => process.exit(0));`;
  const flags = ['--service', 'shop', '--port', `127.0.0.1:0=${port}`, '--otlp-endpoint', sink.url];
  const program = await startProgram(t, script(code, ...flags, '--otlp-protocol', 'http/protobuf'));
  const inbound = Number(/:(\d+)=/.exec(String(program.listening.inbound))?.[1]);
  assert.equal(await answerOf(inbound), 'done');
  assert.deepEqual(await program.stop(), { code: 0, signal: null });
  // Before it listened, callers were refused.
  const server = sink.spans.find((span) => span.kind === 'SERVER' && span.statusCode !== 2);
  const client = sink.spans.find(({ kind }) => kind === 'CLIENT');
  assert.equal(server?.service, 'shop');
  assert.equal(client?.parentSpanId, server?.spanId);
  assert.equal(client?.traceId, server?.traceId);
});

test('signals reach the command, which decides what becomes of it', async (t) => {
  const code = `let seen = [];
    for (const name of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'])
      process.on(name, () => { seen.push(name); require('node:fs').writeSync(2, name + '\\n'); });
    process.on('SIGTERM', () => process.exit(10 + seen.length));
    require('node:fs').writeSync(2, 'ready\\n'); setInterval(() => {}, 1000);`;
  const program = await startProgram(t, script(code, '--otlp-endpoint', 'http://127.0.0.1:9'));
  const said = async (line: string) => {
    while (!program.stderr.includes(line)) await once(program.process.stderr!, 'data');
  };
  await said('ready');
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
    program.process.kill(signal);
    await said(signal);
  }
  assert.deepEqual(await program.stop(), { code: 15, signal: null });
});

test('a command that a signal ends gives 128 and the signal’s number', async (t) => {
  const code = "require('node:fs').writeSync(2, 'ready\\n'); setInterval(() => {}, 1000);";
  const program = await startProgram(t, script(code, '--otlp-endpoint', 'http://127.0.0.1:9'));
  while (!program.stderr.includes('ready')) await once(program.process.stderr!, 'data');
  assert.deepEqual(await program.stop(), { code: 143, signal: null });
});

test('POST /quitquitquit ends the command, and with it the program', async (t) => {
  const program = await startProgram(t, script('setInterval(() => {}, 1000)', '--otlp-endpoint', 'http://127.0.0.1:9'));
  const answer = await fetch(`http://${String(program.listening.admin)}/quitquitquit`, { method: 'POST' });
  assert.equal(answer.status, 200);
  assert.deepEqual(await program.exited, { code: 143, signal: null });
});

test('port 15006 is used for the command’s callers when it is free, and another when not', async (t) => {
  const holder = net.createServer();
  await new Promise<void>((resolve) => {
    // Taken by somebody else is as good.
    holder.once('error', () => resolve()).listen(15006, '127.0.0.1', resolve);
  });
  t.after(() => holder.close());
  const program = await startProgram(
    t,
    script('setInterval(() => {}, 1000)', '--port', '8080', '--port', '8081', ...nowhere.slice(0, 2)),
  );
  const [first = '', second = ''] = program.listening.inbound as string[];
  assert.match(first, /^127\.0\.0\.1:(?!15006)\d+=127\.0\.0\.1:8080$/);
  assert.match(second, /^127\.0\.0\.1:(?!15006)\d+=127\.0\.0\.1:8081$/);
});

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The body of the answer to a request, asked again until the command listens. */
async function answerOf(port: number): Promise<string> {
  for (;;) {
    try {
      const request = http.get({ host: '127.0.0.1', port, agent: false });
      const [answer] = (await once(request, 'response')) as [http.IncomingMessage];
      let body = '';
      for await (const chunk of answer.setEncoding('utf8')) body += chunk;
      return body;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    }
  }
}
