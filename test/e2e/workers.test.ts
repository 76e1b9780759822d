// Promise: several workers are one sidecar: they share its sockets, and any of them answers for all.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { fetchJson, fetchText } from '../../src/cli/demo/fetch-text.ts';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { eventually } from '../support/eventually.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, type RawClient, startRawServer } from '../support/raw-tcp.ts';
import { type Sidecar, startSidecar } from '../support/sidecar.ts';
import { isRunning, killWorker, messages, noSupervisor, nthWorker, workerIds } from '../support/workers.ts';

const request = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n';
const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
const supervised = { skip: noSupervisor };

async function startWorkers(t: TestContext, env: Readonly<Record<string, string>> = {}, args: readonly string[] = []) {
  const server = await startRawServer(t, { onData: ({ socket }) => socket.write(ok) });
  const sink = await startOtlpSink(t);
  const options = { inbound: server.port, otlp: sink.url, args: ['--concurrency', '2', ...args], env };
  const sidecar = await startSidecar(t, options);
  await nthWorker(sidecar.program, 2);
  return { sink, sidecar };
}

async function exchange(client: RawClient): Promise<void> {
  const before = client.bytes().length;
  client.socket.write(request);
  await client.read(before + ok.length);
}

/** One connection in each worker: the other one is stopped while it is made. */
async function oneClientEach(t: TestContext, sidecar: Sidecar): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const stopped of workerIds(sidecar.program)) {
    process.kill(stopped, 'SIGSTOP');
    const client = await connectRaw(t, sidecar.inbound);
    await exchange(client);
    process.kill(stopped, 'SIGCONT');
    clients.push(client);
  }
  return clients;
}

interface Page {
  readonly count: number;
  readonly connections: readonly { readonly worker: number; readonly client: string }[];
  readonly workers_missing: readonly number[];
}

async function connectionsPage(sidecar: Sidecar): Promise<Page> {
  return (await fetchJson(`http://${sidecar.admin}/connections`, 5_000)) as Page;
}

test('connections of both workers are listed, their requests and spans counted together', supervised, async (t) => {
  const { sidecar, sink } = await startWorkers(t);
  const clients = await oneClientEach(t, sidecar);
  const page = await connectionsPage(sidecar);
  assert.deepEqual([page.count, page.workers_missing], [2, []]);
  assert.deepEqual(page.connections.map(({ worker }) => worker).sort(), [0, 1]);
  assert.deepEqual(
    page.connections.map(({ client }) => client).sort(),
    clients.map(({ socket }) => `127.0.0.1:${socket.localPort}`).sort(),
  );
  await sink.received(2);
  // Whichever answers, the numbers are those of both.
  for (let i = 0; i < 6; i++) {
    const samples = await sidecar.metrics();
    assert.equal(sumOf(samples, 'tracecar_requests_total'), 2);
    assert.equal(sumOf(samples, 'tracecar_connections'), 2);
    assert.equal(sumOf(samples, 'tracecar_spans_created_total'), 2);
  }
});

test('a stalled worker costs a second and is named', supervised, async (t) => {
  const { sidecar } = await startWorkers(t);
  const stalled = workerIds(sidecar.program)[0]!;
  process.kill(stalled, 'SIGSTOP');
  const startMs = performance.now();
  const page = await connectionsPage(sidecar);
  assert.ok(performance.now() - startMs < 3_000);
  assert.equal(page.workers_missing.length, 1);
  const metrics = (await fetchText(`http://${sidecar.admin}/metrics`, 5_000)).body;
  assert.match(metrics, /^# worker [01] did not answer and is left out$/m);
  assert.equal((await fetchText(`http://${sidecar.admin}/ready`, 5_000)).status, 200);
  process.kill(stalled, 'SIGCONT');
  await eventually('it is back', async () => (await connectionsPage(sidecar)).workers_missing.length === 0);
});

test('while one worker is replaced the other one serves', supervised, async (t) => {
  const { sidecar } = await startWorkers(t);
  const [first, second] = workerIds(sidecar.program);
  await killWorker(first!);
  await exchange(await connectRaw(t, sidecar.inbound));
  await nthWorker(sidecar.program, 3);
  assert.ok(isRunning(second!));
  const restarts = async () => sumOf(await sidecar.metrics(), 'tracecar_worker_restarts_total');
  await eventually('one restart is counted', async () => (await restarts()) === 1);
});

test('the limit of connections is divided', supervised, async (t) => {
  const { sidecar } = await startWorkers(t, {}, ['--max-connections', '4']);
  const [stopped] = workerIds(sidecar.program);
  process.kill(stopped!, 'SIGSTOP');
  const clients: RawClient[] = [];
  for (let i = 0; i < 2; i++) {
    clients.push(await connectRaw(t, sidecar.inbound));
    await exchange(clients[i]!);
  }
  // The reset may come before the client knows that it is connected.
  const refusal = connectRaw(t, sidecar.inbound).then((third) => {
    third.socket.write(request);
    return third.closed;
  });
  assert.equal(await refusal.catch((error: NodeJS.ErrnoException) => error.code), 'ECONNRESET');
  process.kill(stopped!, 'SIGCONT');
  for (const client of clients) await exchange(client);
});

test('SIGTERM drains both, and the spans of both arrive', supervised, async (t) => {
  const { sidecar, sink } = await startWorkers(t, { OTEL_BSP_SCHEDULE_DELAY: '60000' });
  const clients = await oneClientEach(t, sidecar);
  const exited = sidecar.program.stop();
  const draining = () => messages(sidecar.program).filter((message) => message === 'draining').length;
  await eventually('both drain', () => draining() === 2);
  for (const client of clients) {
    await exchange(client);
    client.socket.destroy();
  }
  assert.deepEqual(await exited, { code: 0, signal: null });
  assert.equal(sink.spans.length, 4);
});

test('what one worker is told all do: drain, the log level, quit', supervised, async (t) => {
  const { sidecar, sink } = await startWorkers(t, { OTEL_BSP_SCHEDULE_DELAY: '60000' });
  for (const client of await oneClientEach(t, sidecar)) client.socket.destroy();
  const post = async (path: string) => {
    const response = await fetch(`http://${sidecar.admin}${path}`, {
      method: 'POST',
      headers: { connection: 'close' },
    });
    return [response.status, await response.json()];
  };
  assert.deepEqual(await post('/logging?level=warn'), [200, { level: 'warn' }]);
  const [status, state] = await post('/drain');
  assert.deepEqual([status, (state as { state: string }).state], [200, 'draining']);
  for (let i = 0; i < 6; i++) assert.equal((await fetchText(`http://${sidecar.admin}/ready`)).status, 503);
  assert.equal((await post('/quitquitquit'))[0], 200);
  assert.deepEqual(await sidecar.program.exited, { code: 0, signal: null });
  assert.equal(sink.spans.length, 2);
  // Both would have said so at the level before.
  assert.ok(!messages(sidecar.program).includes('draining'));
});

test('a killed supervisor takes every worker along, a stopped one too', supervised, async (t) => {
  const { sidecar } = await startWorkers(t);
  const workers = workerIds(sidecar.program);
  process.kill(workers[0]!, 'SIGSTOP');
  sidecar.program.process.kill('SIGKILL');
  await eventually('both are gone', () => workers.every((worker) => !isRunning(worker)), 5_000);
});
