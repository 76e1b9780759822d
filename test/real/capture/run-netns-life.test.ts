// How `run --netns` ends: the command's exit code, and nothing left of the namespace, whoever was killed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { noNamespaces } from '../../support/network-namespace.ts';
import type { Program } from '../../support/programs.ts';
import {
  inodeOf,
  isAlive,
  type Machine,
  serveHttp,
  spawnRun,
  startMachine,
  stateOf,
  tracesOf,
  world,
} from './run-netns/machine.ts';

const node = process.execPath;
const skip = noNamespaces;
/** Says so and stays, also when it is asked to go. */
const stubborn = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); require('node:fs').writeSync(2, 'here ' + process.pid + '\\n');`;

async function said(program: Program, pattern: RegExp): Promise<string> {
  for (;;) {
    const found = program.stderr.map((line) => pattern.exec(line)?.[1]).find((text) => text !== undefined);
    if (found !== undefined) return found;
    await once(program.process.stderr!, 'data');
  }
}

interface Running {
  readonly machine: Machine;
  readonly program: Program;
  readonly commandPid: number;
  /** Requires that everything is as it was before the run. */
  assertGone(): Promise<void>;
}

async function startStubborn(t: TestContext, code = stubborn): Promise<Running> {
  const machine = await startMachine(t);
  const before = await stateOf(machine);
  const program = await machine.start([node, '-e', code]);
  const name = String(program.listening.namespace);
  const inode = inodeOf(name);
  const commandPid = Number(await said(program, /^here (\d+)/));
  assert.notDeepEqual(await stateOf(machine), before, 'there is something to take down');
  assert.ok(tracesOf(name, inode).length > 3, 'the name, the command, the sidecar and its supervisor');
  const assertGone = async () => {
    await eventually(
      () => `nothing of ${name}, but there is: ${tracesOf(name, inode).join('; ')}`,
      () => tracesOf(name, inode).length === 0,
      20_000,
    );
    assert.deepEqual(await stateOf(machine), before);
  };
  return { machine, program, commandPid, assertGone };
}

test('exit codes are those of the command, and no end leaves anything', { skip }, async (t) => {
  const machine = await startMachine(t);
  const before = await stateOf(machine);
  const cases: [readonly string[], number, RegExp][] = [
    [['sh', '-c', 'exit 3'], 3, /^$/],
    [['sh', '-c', 'kill -9 $$'], 137, /^$/],
    [['no-such-command'], 127, /^tracecar: no-such-command: command not found\n$/],
    [[import.meta.filename], 126, /^tracecar: \/.*\.test\.ts: not executable\n$/],
  ];
  for (const [command, code, stderr] of cases) {
    const ended = await machine.run(command, { flags: ['--log-level', 'silent'] });
    assert.match(ended.stderr, stderr);
    assert.equal(ended.code, code, command.join(' '));
  }
  assert.deepEqual(await stateOf(machine), before);
});

test('kill -9 of the command', { skip }, async (t) => {
  const { program, commandPid, assertGone } = await startStubborn(t);
  process.kill(commandPid, 'SIGKILL');
  assert.deepEqual(await program.exited, { code: 137, signal: null });
  await assertGone();
});

test('kill -9 of run itself: the command and the sidecar end, too', { skip }, async (t) => {
  const { program, assertGone } = await startStubborn(t);
  assert.deepEqual(await program.stop('SIGKILL'), { code: null, signal: 'SIGKILL' });
  await assertGone();
});

test('kill -9 of the shell that keeps the namespace, before the end', { skip }, async (t) => {
  const { program, commandPid, assertGone } = await startStubborn(t);
  const children = readFileSync(`/proc/${program.process.pid}/task/${program.process.pid}/children`, 'utf8');
  const keeper = children.split(' ').find((pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sh\n');
  process.kill(Number(keeper), 'SIGKILL');
  process.kill(commandPid, 'SIGKILL');
  assert.deepEqual(await program.exited, { code: 137, signal: null });
  await assertGone();
});

test('signals reach the command, whose exit code is passed on', { skip }, async (t) => {
  const code = stubborn.replace("'SIGTERM', () => {}", "'SIGTERM', () => process.exit(5)");
  const { program, assertGone } = await startStubborn(t, code);
  assert.deepEqual(await program.stop('SIGTERM'), { code: 5, signal: null });
  await assertGone();
});

test('SIGTERM while everything is being made', { skip }, async (t) => {
  const machine = await startMachine(t);
  const before = await stateOf(machine);
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const child = spawnRun(t, machine, ['sleep', '60']);
    const exited = once(child, 'exit');
    // As soon as there is something, and long before the command has been started.
    const link = await eventually('a device', async () => {
      const { stdout } = await machine.namespace.attempt('ip', '-o', 'link', 'show', 'type', 'veth');
      return /(tracecar[0-9a-f]{6})@/.exec(stdout)?.[1];
    });
    child.kill(signal);
    await exited;
    const name = link.replace('tracecar', 'tracecar-');
    await eventually(
      () => `nothing of ${name}, but there is: ${tracesOf(name, -1).join('; ')}`,
      () => tracesOf(name, -1).length === 0,
      20_000,
    );
    assert.deepEqual(await stateOf(machine), before);
  }
});

test('what the command leaves behind in the namespace is ended with it', { skip }, async (t) => {
  const machine = await startMachine(t);
  const before = await stateOf(machine);
  const command = ['sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 & trap "" TERM; echo $!; exit 4'];
  const { stdout, code } = await machine.run(command);
  assert.equal(code, 4);
  assert.match(stdout, /^\d+\n$/);
  assert.equal(isAlive(Number(stdout)), false);
  assert.deepEqual(await stateOf(machine), before);
});

test('two at once on one machine do not meet, and the last to go puts forwarding back', { skip }, async (t) => {
  const machine = await startMachine(t);
  const settings = 'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/lo/forwarding';
  await machine.namespace.run('sh', '-c', settings);
  const before = await stateOf(machine);
  const code = stubborn.replace("'SIGTERM', () => {}", "'SIGTERM', () => process.exit(0)");
  const flags = ['--port', '3000'];
  const programs = await Promise.all([0, 1].map(() => machine.start([node, '-e', code], flags)));
  const [first, second] = programs as [Program, Program];
  const forwarding = () =>
    machine.namespace.run('cat', '/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/all/forwarding');
  for (const field of ['namespace', 'addresses', 'inbound', 'admin']) {
    assert.notDeepEqual(first.listening[field], second.listening[field], field);
  }
  assert.equal(await forwarding(), '1\n1\n');
  await first.stop();
  assert.equal(await forwarding(), '1\n1\n', 'the other one needs it');
  await second.stop();
  assert.deepEqual(await stateOf(machine), before);
});

test('a sidecar that is killed, a worker or all of it, is there again for the next call', { skip }, async (t) => {
  const machine = await startMachine(t);
  await serveHttp(t, machine.worldSockets, { host: world.v4, port: 8080 }, ({ url }) => String(url));
  const code = `let count = 0;
    const get = () => require('node:http').get('http://${world.v4}:8080/again', { agent: false },
        (answer) => answer.resume().on('end', () => require('node:fs').writeSync(2, 'here ' + ++count + '\\n')))
      .on('error', () => setTimeout(get, 20));
    process.on('SIGUSR1', get); process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000);
    require('node:fs').writeSync(2, 'ready now\\n');`;
  const program = await machine.start([node, '-e', code]);
  await said(program, /^(ready)/);
  const name = String(program.listening.namespace);
  const pidsOf = (pattern: RegExp) =>
    tracesOf(name, inodeOf(name))
      .filter((line) => pattern.test(line))
      .map((line) => Number.parseInt(line, 10));
  const worker = /^\d+: \S*node .*sidecar/;
  const before = pidsOf(worker);
  assert.equal(before.length, 1);
  process.kill(before[0]!, 'SIGKILL');
  // Until it is back, connections wait in its sockets.
  program.process.kill('SIGUSR1');
  await said(program, /^here (1)/);
  assert.notDeepEqual(pidsOf(worker), before);
  // What it has not delivered dies with it.
  await machine.sink.received(1);
  for (const supervisor of pidsOf(/^\d+: sh .*supervise\.sh/)) process.kill(supervisor, 'SIGKILL');
  await said(program, /(the sidecar ended; started again)/);
  program.process.kill('SIGUSR1');
  await said(program, /^here (2)/);
  assert.deepEqual(await program.stop(), { code: 0, signal: null });
  const paths = machine.sink.spans.map(({ attributes }) => attributes['url.path']);
  assert.deepEqual(paths, ['/again', '/again']);
});
