// MariaDB, PostgreSQL and Redis behind a sidecar: their own clients see what they see directly, at once.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { connectRaw } from '../../support/raw-tcp.ts';
import { absent, assertAlike, find, freePort, run, startServer, temporaryFolder } from './support/commands.ts';
import { fastestGreetingMs } from './support/greeting.ts';
import { assertUnchanged, assertUnreadSpan, startWire } from './support/wire.ts';

const isRoot = process.getuid?.() === 0;
/** More than any hand-over costs, less than any wait for bytes that might come. */
const noDelayMs = 25;

async function startMariadb(t: TestContext): Promise<number> {
  const data = temporaryFolder(t, 'mariadb');
  const user = isRoot ? ['--user=root'] : [];
  const installed = await run('mariadb-install-db', [
    ...['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db'],
    ...user,
  ]);
  assert.equal(installed.code, 0, installed.stderr);
  const port = await freePort();
  const args = ['--no-defaults', `--datadir=${data}`, `--socket=${data}/socket`, `--port=${port}`];
  await startServer(t, port, 'mariadbd', [...args, '--bind-address=127.0.0.1', '--skip-networking=0', ...user]);
  return port;
}

const mariadbPrograms = absent('mariadbd', 'mariadb', 'mariadb-install-db');

test('MariaDB greets through a sidecar without delay and answers its client alike', {
  skip: mariadbPrograms,
}, async (t) => {
  const wire = await startWire(t, await startMariadb(t));
  const queries = `
    create database if not exists shop; use shop; drop table if exists orders;
    create table orders (id int primary key auto_increment, what varchar(40), paper longblob);
    insert into orders (what) select concat('thing ', seq) from seq_1_to_5000;
    update orders set paper = repeat('0123456789abcdef', 131072) where id = 7;
    select count(*), sum(id), max(length(paper)), md5(max(paper)) from orders;
    select id, what from orders order by id;
    select paper from orders where id = 7;
    select nothing from orders;`;
  const ask = (port: number) =>
    run('mariadb', ['--no-defaults', '-h127.0.0.1', `-P${port}`, '-uroot', '--max-allowed-packet=64M', '--batch'], {
      input: queries,
    });
  const through = await ask(wire.through);
  assertAlike(through, await ask(wire.direct));
  assert.match(through.stdout, /5000\t12502500\t2097152/);
  assert.match(through.stderr, /ERROR 1054 .*Unknown column 'nothing'/);

  assert.equal(await assertUnchanged(wire), 1);
  await assertUnreadSpan(wire, { 'tracecar.protocol': 'opaque' });

  const direct = await fastestGreetingMs(wire.direct);
  const proxied = await fastestGreetingMs(wire.sidecar.inbound);
  t.diagnostic(`greeting: ${direct.toFixed(1)} ms directly, ${proxied.toFixed(1)} ms through the sidecar`);
  assert.ok(proxied < direct + noDelayMs);
});

/** PostgreSQL refuses root: then it runs as `postgres`, or not at all. */
const asPostgres = isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];

async function runAsPostgres(command: string, args: readonly string[]): Promise<void> {
  const [first = '', ...rest] = [...asPostgres, find(command) ?? command, ...args];
  const { code, stderr } = await run(first, rest, { cwd: '/tmp' });
  assert.equal(code, 0, stderr);
}

async function startPostgres(t: TestContext): Promise<number> {
  const folder = temporaryFolder(t, 'postgres');
  chmodSync(folder, 0o777);
  const data = path.join(folder, 'data');
  const key = path.join(folder, 'key.pem');
  const certificate = path.join(folder, 'certificate.pem');
  await runAsPostgres('initdb', ['-D', data, '-A', 'trust', '-U', 'tester', '-E', 'UTF8', '--no-sync']);
  const request = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  await runAsPostgres('openssl', ['req', ...request, '-keyout', key, '-out', certificate]);
  await runAsPostgres('chmod', ['600', key]);
  const port = await freePort();
  const settings = [
    'ssl=on',
    `ssl_cert_file=${certificate}`,
    `ssl_key_file=${key}`,
    'fsync=off',
    'listen_addresses=127.0.0.1',
  ];
  const args = ['-D', data, '-p', String(port), '-k', folder, ...settings.flatMap((setting) => ['-c', setting])];
  const [first = '', ...rest] = [...asPostgres, find('postgres') ?? 'postgres', ...args];
  await startServer(t, port, first, rest, { cwd: '/tmp', endSignal: 'SIGINT' });
  return port;
}

const postgresPrograms = absent('postgres', 'initdb', 'psql', 'openssl', ...(isRoot ? ['setpriv'] : []));
const postgresQueries = `set client_min_messages = warning;
  drop table if exists orders;
  create table orders (id serial primary key, what text, at timestamptz default '2026-01-01');
  insert into orders (what) select 'thing ' || n from generate_series(1, 5000) n;
  select count(*), sum(id), md5(string_agg(what, ',' order by id)) from orders;
  copy orders (id, what) to stdout;
  select repeat('0123456789abcdef', 131072);
  prepare one as select what from orders where id = $1; execute one(7);
  select ssl, version from pg_stat_ssl where pid = pg_backend_pid();
  listen bell; notify bell, 'rings';
  select nothing from orders;`;

for (const [what, sslmode, answer, attributes] of [
  ['without TLS', 'disable', 'f|', { 'tracecar.encrypted': 'false', 'db.namespace': 'postgres' }],
  ['that asks for TLS with an SSLRequest', 'require', 't|TLSv1.3', { 'tracecar.encrypted': 'true' }],
] as const) {
  test(`PostgreSQL answers a client ${what} through a sidecar alike`, { skip: postgresPrograms }, async (t) => {
    const wire = await startWire(t, await startPostgres(t));
    const ask = (port: number) => {
      const target = `host=127.0.0.1 port=${port} user=tester dbname=postgres sslmode=${sslmode}`;
      return run('psql', ['-X', '-q', '-At', target], { input: postgresQueries });
    };
    const plain = (text: string) => text.replaceAll(/PID \d+/g, 'PID');
    const [through, direct] = [await ask(wire.through), await ask(wire.direct)];
    assertAlike({ ...through, stdout: plain(through.stdout) }, { ...direct, stdout: plain(direct.stdout) });
    assert.match(through.stdout, /^5000\|12502500\|/m);
    assert.ok(through.stdout.includes(answer), `the server says of TLS: ${answer}`);
    assert.match(through.stdout, /Asynchronous notification "bell" with payload "rings"/);
    assert.match(through.stderr, /column "nothing" does not exist/);
    assert.equal(await assertUnchanged(wire), 1);
    await assertUnreadSpan(wire, { 'network.protocol.name': 'postgresql', ...attributes });
  });
}

const redisPrograms = absent('redis-server', 'redis-cli');

async function startRedis(t: TestContext): Promise<number> {
  const folder = temporaryFolder(t, 'redis');
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
  await startServer(t, port, 'redis-server', args);
  return port;
}

test('Redis answers commands and a pipeline through a sidecar alike', {
  skip: redisPrograms,
}, async (t) => {
  const wire = await startWire(t, await startRedis(t));
  const cli = (port: number, args: readonly string[], input?: string) =>
    run('redis-cli', ['-h', '127.0.0.1', '-p', String(port), ...args], input === undefined ? {} : { input });
  const word = (text: string) => `$${text.length}\r\n${text}\r\n`;
  const pipeline = Array.from({ length: 20_000 }, (_, i) => {
    const key = word(`key:${i}`);
    return `*3\r\n${word('SET')}${key}${word('v'.repeat(i % 50))}*2\r\n${word('GET')}${key}`;
  }).join('');
  const steps: readonly (readonly [readonly string[], string?])[] = [
    [['FLUSHALL']],
    [['SET', 'name', 'a b\r\nc']],
    [['GET', 'name']],
    [['--pipe'], pipeline],
    [['DBSIZE']],
    [['--raw', 'EVAL', "return string.rep('x', 1000000)", '0']],
    [['INCR', 'name']],
    [[], 'PING\nSET n 0\nMULTI\nINCR n\nINCR n\nEXEC\n'],
  ];
  for (const [args, input] of steps) {
    const through = await cli(wire.through, args, input);
    assertAlike(through, await cli(wire.direct, args, input), args.join(' '));
    assert.equal(through.code, 0);
    if (args[0] === '--pipe') assert.match(through.stdout, /errors: 0, replies: 40000/);
  }
  assert.equal(await assertUnchanged(wire), steps.length);
  await assertUnreadSpan(wire, { 'tracecar.protocol': 'opaque' });
});

/** Inline commands of Redis are words in a line, as a request line is. */
test('Redis answers inline commands that begin as a request would', { skip: redisPrograms }, async (t) => {
  const wire = await startWire(t, await startRedis(t));
  const commands = ['PING', 'SET key /path HTTP', 'GET key', 'GET /', 'QUIT'].map((command) => `${command}\r\n`);
  const answers = ['+PONG\r\n', '-ERR syntax error\r\n', '$-1\r\n', '$-1\r\n', '+OK\r\n'];
  for (const port of [wire.through, wire.direct]) {
    const client = await connectRaw(t, port);
    for (const [i, command] of commands.entries()) {
      // The answer to each is awaited: a line that was held back would never get one.
      client.socket.write(command);
      await client.read(answers.slice(0, i + 1).join('').length);
    }
    assert.equal((await client.readToEnd()).toString(), answers.join(''));
    client.socket.end();
  }
  assert.equal(await assertUnchanged(wire), 1);
});

test('a message published in Redis reaches its subscriber through a sidecar', { skip: redisPrograms }, async (t) => {
  const wire = await startWire(t, await startRedis(t));
  const cli = find('redis-cli') ?? 'redis-cli';
  const subscriber = spawn(cli, ['-h', '127.0.0.1', '-p', String(wire.through), 'SUBSCRIBE', 'bell'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => subscriber.kill('SIGKILL'));
  const lines = createInterface({ input: subscriber.stdout })[Symbol.asyncIterator]();
  const next = async (count: number) => {
    const found: string[] = [];
    while (found.length < count) found.push(String((await lines.next()).value));
    return found;
  };
  assert.deepEqual(await next(3), ['subscribe', 'bell', '1']);
  for (const word of ['one', 'two', 'three']) {
    const { stdout } = await run(cli, ['-h', '127.0.0.1', '-p', String(wire.through), 'PUBLISH', 'bell', word]);
    assert.equal(stdout.trim(), '1');
    assert.deepEqual(await next(3), ['message', 'bell', word]);
  }
});
