// Promise: whatever ends a worker, its sockets stay bound and another one serves on them; what ends the supervisor ends all.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { programArguments, root, runProgram } from '../support/programs.ts';
import { connectRaw, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar } from '../support/sidecar.ts';
import { isRunning, killWorker, messages, noSupervisor, nthWorker, workerIds } from '../support/workers.ts';

const request = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n';
const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
const supervised = { skip: noSupervisor };

async function startSupervised(t: TestContext, args: readonly string[] = [], env = {}) {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(ok) });
  const sink = await startOtlpSink(t);
  return { sink, sidecar: await startSidecar(t, { inbound: server.port, otlp: sink.url, args, env }) };
}

async function answered(t: TestContext, port: number): Promise<void> {
  const client = await connectRaw(t, port);
  client.socket.write(request);
  assert.deepEqual(await client.read(ok.length), ok);
  client.socket.destroy();
}

/** The processes below another, and it. */
function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]));
    } catch {
      // It has ended in between.
    }
  }
  const below = (parent: number): number[] =>
    [...parents].flatMap(([child, of]) => (of === parent ? [child, ...below(child)] : []));
  return [pid, ...below(pid)];
}

/** 0 when it has ended in between, as the watchdog's `sleep` may. */
function residentKb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

test('connections made while a killed worker is replaced are answered, none is refused', supervised, async (t) => {
  const { sidecar, sink } = await startSupervised(t);
  await answered(t, sidecar.inbound);
  await sink.received(1);
  const first = await nthWorker(sidecar.program, 1);
  await killWorker(first);
  const killedMs = performance.now();
  const times: number[] = [];
  let second: number | undefined;
  const clients: Promise<void>[] = [];
  while (second === undefined || clients.length < 20) {
    clients.push(answered(t, sidecar.inbound).then(() => void times.push(performance.now() - killedMs)));
    await new Promise((resolve) => setTimeout(resolve, 10));
    second = workerIds(sidecar.program)[1];
  }
  await Promise.all(clients);
  assert.notEqual(second, first);
  t.diagnostic(
    `${clients.length} connections; the first was answered ${Math.min(...times).toFixed(0)} ms after the death`,
  );
  assert.ok(Math.min(...times) < 5_000);
  const spans = await sink.received(1 + clients.length);
  assert.equal(spans.length, 1 + clients.length);
  assert.ok(messages(sidecar.program).includes('worker ended (signal 9); started again'));
  const restarts = (await sidecar.metrics()).filter(({ name }) => name === 'tracecar_worker_restarts_total');
  assert.deepEqual(
    restarts.map(({ value }) => value),
    [1],
  );
  assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
});

test('a worker that has served for a second is replaced at once, however often', supervised, async (t) => {
  const { sidecar } = await startSupervised(t);
  for (let count = 1; count <= 12; count++) {
    const worker = await nthWorker(sidecar.program, count);
    await answered(t, sidecar.inbound);
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await killWorker(worker);
    const killedMs = performance.now();
    await answered(t, sidecar.inbound);
    assert.ok(performance.now() - killedMs < 2_000, `the ${count}th time it took longer`);
  }
});

test('a worker that is stopped is replaced, and the log says why', supervised, async (t) => {
  const { sidecar } = await startSupervised(t);
  const first = await nthWorker(sidecar.program, 1);
  process.kill(first, 'SIGSTOP');
  const waiting = connectRaw(t, sidecar.inbound);
  await nthWorker(sidecar.program, 2, 30_000);
  const client = await waiting;
  client.socket.write(request);
  assert.deepEqual(await client.read(ok.length), ok);
  assert.equal(isRunning(first), false);
  assert.ok(messages(sidecar.program).includes('worker ended (stalled, signal 9); started again'));
});

test('a signal to the whole group drains once: exit 0, spans flushed, nothing left', supervised, async (t) => {
  const env = { OTEL_BSP_SCHEDULE_DELAY: '60000' };
  const { sidecar, sink } = await startSupervised(t, [], env);
  const worker = await nthWorker(sidecar.program, 1);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.read(ok.length);
  const exited = sidecar.program.stop('SIGINT');
  process.kill(worker, 'SIGINT');
  await eventually('draining', () => messages(sidecar.program).includes('draining'));
  client.socket.write(request);
  await client.read(2 * ok.length);
  client.socket.destroy();
  assert.deepEqual(await exited, { code: 0, signal: null });
  assert.equal(sink.spans.length, 2);
  assert.equal(isRunning(worker), false);
});

test('a second SIGTERM ends at once', supervised, async (t) => {
  const { sidecar } = await startSupervised(t);
  const worker = await nthWorker(sidecar.program, 1);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.read(ok.length);
  const exited = sidecar.program.stop();
  await eventually('draining', () => messages(sidecar.program).includes('draining'));
  // Within half a second it would be the same signal, come twice.
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.ok(isRunning(worker));
  sidecar.program.process.kill('SIGTERM');
  assert.deepEqual(await exited, { code: 143, signal: null });
  assert.equal(isRunning(worker), false);
});

test('a killed supervisor takes its worker along, and the port is free', supervised, async (t) => {
  const { sidecar } = await startSupervised(t);
  const worker = await nthWorker(sidecar.program, 1);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request);
  await client.read(ok.length);
  assert.deepEqual(await sidecar.program.stop('SIGKILL'), { code: null, signal: 'SIGKILL' });
  await eventually('the worker ends', () => !isRunning(worker), 2_000);
  const server = net.createServer().listen(sidecar.inbound, '127.0.0.1');
  await once(server, 'listening');
  server.close();
});

test('a worker that dies at each start is started ever more rarely, and SIGTERM ends that', supervised, async (t) => {
  const dies = `data:text/javascript,${encodeURIComponent(
    `if (process.env.TRACECAR_WORKER) { process.stderr.write('died\\n'); process.exit(7); }`,
  )}`;
  const args = ['sidecar', '--inbound', '0=127.0.0.1:9', '--admin', '127.0.0.1:0'];
  const child = spawn(process.execPath, ['--import', dies, ...programArguments, ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'close');
  t.after(() => child.kill('SIGKILL'));
  const deathsMs: number[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line === 'died') deathsMs.push(performance.now());
  });
  await eventually('eight deaths', () => deathsMs.length >= 8, 60_000);
  const gaps = deathsMs.slice(1).map((at, i) => at - deathsMs[i]!);
  // Six starts without a pause, then one of a second, then one of two.
  assert.ok(gaps[5]! > 900 && gaps[6]! > 1_900, `pauses of ${gaps.map(Math.round)} ms`);
  child.kill('SIGTERM');
  // 7 when the signal comes before the eighth one has quite ended.
  const [code] = await exited;
  assert.ok(code === 0 || code === 7, `exit code ${code}`);
});

test('what only a worker finds wrong in the configuration is exit 2 and one line', supervised, async () => {
  const tls = ['--otlp-endpoint', 'https://127.0.0.1:1', '--otlp-certificate', '/nonexistent.pem'];
  const result = await runProgram(['sidecar', '--inbound', '0=127.0.0.1:9', '--admin', '127.0.0.1:0', ...tls]);
  assert.equal(result.code, 2);
  assert.match(result.stderr, /^tracecar: --otlp-endpoint: [^\n]*nonexistent\.pem[^\n]*\n$/);
});

test('the supervisor is a shell of a few megabytes beside the worker', supervised, async (t) => {
  const { sidecar } = await startSupervised(t);
  const worker = await nthWorker(sidecar.program, 1);
  const pid = sidecar.program.process.pid!;
  const resident = family(pid)
    .filter((member) => member !== worker)
    .map(residentKb);
  t.diagnostic(`resident: ${resident.join(' + ')} kB`);
  assert.ok(resident.length >= 2 && resident.reduce((sum, kb) => sum + kb) < 8 << 10, `${resident} kB`);
});

const withoutKoffi = `data:text/javascript,${encodeURIComponent(`
  import Module from 'node:module';
  const load = Module._load;
  Module._load = function (name, ...rest) {
    if (name === 'koffi') throw new Error('no build for this platform\\nand more');
    return load.call(this, name, ...rest);
  };
`)}`;

for (const [why, env, reason] of [
  ['when it is not wanted', { TRACECAR_SUPERVISOR: 'off' }, 'TRACECAR_SUPERVISOR=off'],
  ['without koffi', { NODE_OPTIONS: `--import ${withoutKoffi}` }, 'koffi: no build for this platform'],
] as const) {
  test(`${why} one process serves, and says that it is alone`, supervised, async (t) => {
    const { sidecar } = await startSupervised(t, ['--concurrency', '3'], env);
    assert.equal(sidecar.program.listening.pid, sidecar.program.process.pid);
    const line = sidecar.program.stderr.map((text) => JSON.parse(text)).find((entry) => entry.reason !== undefined);
    assert.deepEqual([line.reason, line.msg], [reason, 'runs without a supervisor, in one process']);
    await answered(t, sidecar.inbound);
    assert.deepEqual(await sidecar.program.stop(), { code: 0, signal: null });
  });
}
