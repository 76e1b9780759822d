// Promise: `tracecar demo --once` shows every trace whole and says so; `tracecar demo` leaves nobody behind.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startZipkinSink } from '../support/collector.ts';
import { eventually } from '../support/eventually.ts';
import { startOtlpSink } from '../support/otlp-sink.ts';
import { programArguments, runProgram } from '../support/programs.ts';

test('demo --once: 60 whole traces, nothing lost, exit 0, and the spans in a file', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'tracecar-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'spans.json');
  const { code, stdout, stderr } = await runProgram(['demo', '--once', '--port', '0', '--spans', file]);
  assert.equal(code, 0, stderr);
  const summary = /^demo: 60 requests, 60 traces, (\d+) spans, 0 lost$/m.exec(stdout);
  assert.notEqual(summary, null, stdout);
  assert.match(stdout, /front-end .*SERVER.*█/);
  assert.ok(!stdout.includes('\u001b'), 'colour without a terminal');
  const spans: { traceId: string; spanId: string; parentId: string | null; service: string }[] = JSON.parse(
    await readFile(file, 'utf8'),
  );
  assert.equal(spans.length, Number(summary![1]));
  const ids = new Set(spans.map((span) => span.traceId + span.spanId));
  assert.equal(ids.size, spans.length);
  assert.ok(spans.every((span) => span.parentId === null || ids.has(span.traceId + span.parentId)));
  assert.equal(spans.filter((span) => span.parentId === null).length, 60);
  for (const traceId of new Set(spans.map((span) => span.traceId))) {
    const services = new Set(spans.filter((span) => span.traceId === traceId).map((span) => span.service));
    assert.ok(services.size >= 3, `${traceId} is over ${[...services]} only`);
  }
});

test('demo --once feeds every backend it is given with every span, once', async (t) => {
  const [first, second] = [await startZipkinSink(t), await startZipkinSink(t)];
  const jaeger = await startOtlpSink(t);
  const { code, stdout, stderr } = await runProgram([
    ...['demo', '--once', '--port', '0', '--json'],
    ...['--zipkin', first.url, '--jaeger', jaeger.url, '--zipkin', second.url],
  ]);
  assert.equal(code, 0, stderr);
  const { list } = JSON.parse(stdout) as { list: { traceId: string; spanId: string; parentId: string | null }[] };
  const key = (...ids: (string | undefined)[]) => ids.join(' ');
  const wanted = list.map((span) => key(span.traceId, span.spanId, span.parentId ?? '')).sort();
  assert.deepEqual(jaeger.spans.map((span) => key(span.traceId, span.spanId, span.parentSpanId)).sort(), wanted);
  for (const zipkin of [first, second]) {
    assert.deepEqual(zipkin.spans.map((span) => key(span.traceId, span.id, span.parentId ?? '')).sort(), wanted);
  }
});

test('demo --once --json prints one document with the spans', async () => {
  const { code, stdout, stderr } = await runProgram(['demo', '--once', '--port', '0', '--json']);
  assert.equal(code, 0, stderr);
  const result: Record<string, unknown> = JSON.parse(stdout);
  assert.deepEqual([result.requests, result.traces, result.lost, result.difference], [60, 60, 0, null]);
  assert.equal((result.list as unknown[]).length, result.spans);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`demo: the viewer answers, ${signal} stops everything, exit 0`, async (t) => {
    const child = spawn(process.execPath, [...programArguments, 'demo', '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    while (!stdout.includes('Ctrl-C')) await once(child.stdout, 'data');
    const viewer = /viewer +(http:\S+)/.exec(stdout)![1]!;
    const page = await fetch(viewer);
    assert.equal(page.status, 200);
    assert.match(await page.text(), /<html/i);
    const urls = [...stdout.matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].map(([url]) => url);
    child.kill(signal);
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    assert.ok(new Set(urls).size >= 6);
    for (const url of new Set(urls)) await assert.rejects(fetch(url), `${url} still answers`);
  });
}

test('demo: killed by SIGKILL it still leaves nobody behind', async (t) => {
  const child = spawn(process.execPath, [...programArguments, 'demo', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  while (!stdout.includes('Ctrl-C')) await once(child.stdout, 'data');
  const urls = new Set([...stdout.matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].map(([url]) => url));
  child.kill('SIGKILL');
  for (const url of urls) {
    await eventually(`${url} is gone`, () =>
      fetch(url).then(
        () => false,
        () => true,
      ),
    );
  }
});

test('demo: a child that ends ends the demo, with its name', async (t) => {
  const child = spawn(process.execPath, [...programArguments, 'demo', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  while (!stdout.includes('Ctrl-C')) await once(child.stdout, 'data');
  const admin = /(http:\/\/127\.0\.0\.1:\d+)\/connections +\(payments\)/.exec(stdout)![1]!;
  const pid = await pidBehind(admin);
  if (pid === undefined) return t.skip('the process cannot be told from its metrics');
  process.kill(pid, 'SIGKILL');
  const [code] = await once(child, 'exit');
  assert.equal(code, 1);
  assert.match(stderr, /^tracecar: demo: the sidecar of payments ended \(SIGKILL\)/m);
  await assert.rejects(fetch(admin));
});

/** The process that listens on a URL's port, by Linux' tables. */
async function pidBehind(url: string): Promise<number | undefined> {
  const { readdir, readlink } = await import('node:fs/promises');
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
  const table = await readFile('/proc/net/tcp', 'utf8').catch(() => '');
  const row = table.split('\n').find((line) => line.includes(`0100007F:${port} 00000000:0000 0A`));
  const inode = row?.trim().split(/\s+/)[9];
  if (inode === undefined) return undefined;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (link === `socket:[${inode}]`) return Number(pid);
    }
  }
  return undefined;
}
