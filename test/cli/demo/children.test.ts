import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { ChildEnded, createChildGroup } from '../../../src/cli/demo/children.ts';
import { pickPorts } from '../../../src/cli/demo/ports.ts';

const listening = `process.stderr.write(JSON.stringify({ msg: 'listening', pid: process.pid }) + '\\n');`;
const stays = `setInterval(() => {}, 1000);`;
const script = (code: string) => ({ args: ['-e', code], stage: 0 });
const isRunning = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test('start resolves with the listening line; stop leaves nobody, not even who ignores SIGTERM', async () => {
  const group = createChildGroup();
  const obedient = await group.start({ name: 'obedient', ...script(listening + stays), stage: 1 });
  const stubborn = await group.start({
    name: 'stubborn',
    ...script(`process.on('SIGTERM', () => {}); ${listening} ${stays}`),
  });
  await group.stop(300);
  assert.equal(isRunning(Number(obedient.pid)), false);
  assert.equal(isRunning(Number(stubborn.pid)), false);
});

test('higher stages are stopped first', async () => {
  const group = createChildGroup();
  const tellEnd = (name: string) =>
    `process.on('SIGTERM', () => { require('net').connect(process.env.TO, '127.0.0.1').end('${name} '); setTimeout(() => process.exit(), 60) }); ${listening} ${stays}`;
  let order = '';
  const server = net.createServer((socket) => socket.on('data', (text) => (order += text))).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const env = { TO: String((server.address() as net.AddressInfo).port) };
  await Promise.all([
    group.start({ name: 'last', ...script(tellEnd('last')), stage: 0, env }),
    group.start({ name: 'first', ...script(tellEnd('first')), stage: 2, env }),
    group.start({ name: 'middle', ...script(tellEnd('middle')), stage: 1, env }),
  ]);
  await group.stop();
  server.close();
  assert.equal(order.trim(), 'first middle last');
});

test('a child that ends before it listens rejects with its last line; a taken port is told apart', async () => {
  const group = createChildGroup();
  const dying = (line: string) => script(`process.stderr.write('${line}\\n'); process.exitCode = 2;`);
  await assert.rejects(
    group.start({ name: 'the collector', ...dying('tracecar: no such thing') }),
    (error) =>
      error instanceof ChildEnded &&
      error.message === 'the collector ended (exit 2): tracecar: no such thing' &&
      !error.portTaken,
  );
  await assert.rejects(
    group.start({
      name: 'x',
      ...dying('tracecar: --viewer: cannot listen on 1: the port is taken by another process'),
    }),
    (error) => error instanceof ChildEnded && error.portTaken,
  );
  await group.stop();
});

test('a child that ends later fails the group, but not while it is being stopped', async () => {
  const group = createChildGroup();
  await group.start({ name: 'short', ...script(`${listening} setTimeout(() => process.exit(3), 50);`) });
  await assert.rejects(group.failed, /short ended \(exit 3\)/);
  await group.stop();
  await assert.rejects(group.start({ name: 'late', ...script(listening) }), ChildEnded);
});

test('ports are all different; a preferred one is taken when free and replaced when not', async () => {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const taken = (server.address() as net.AddressInfo).port;
  const ports = await pickPorts([taken, 0, 0, 0, 0]);
  assert.equal(new Set([...ports, taken]).size, 6);
  server.close();
  await once(server, 'close');
  assert.deepEqual(await pickPorts([taken]), [taken]);
});
