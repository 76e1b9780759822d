// `run --netns` on machines that differ: resolvers on loopback, firewalls that forward nothing, no IPv6, no route, no root.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { NamespaceSockets } from '../../../src/cli/run/netns/namespace-sockets.ts';
import { noNamespaces } from '../../support/network-namespace.ts';
import { root } from '../../support/programs.ts';
import { absent, temporaryFolder } from '../clients/support/commands.ts';
import { listenThere, machineAddress, serveHttp, startMachine, stateOf, world } from './run-netns/machine.ts';

const skip = noNamespaces || absent('curl');
const get = (host: string) => ['curl', '-sS', '-g', '--max-time', '20', `http://${host}:8080/`];

/** A resolver in a namespace that knows every name by one IPv4 address, and says so by TCP alone when asked for `long`. */
async function serveNames(t: TestContext, sockets: NamespaceSockets, host: string, address: string): Promise<string[]> {
  const asked: string[] = [];
  const answer = (query: Buffer, how: string) => {
    const end = query.indexOf(0, 12) + 5;
    const isV4 = query[end - 3] === 1;
    const name = query.subarray(13, end - 5).toString();
    asked.push(`${how} ${name}`);
    const head = Buffer.from(query.subarray(0, end));
    const truncated = how === 'udp' && name.startsWith('long');
    head.writeUInt16BE(truncated ? 0x8780 : 0x8580, 2);
    const count = isV4 && !truncated ? 1 : 0;
    for (const [at, value] of [
      [6, count],
      [8, 0],
      [10, 0],
    ] as const)
      head.writeUInt16BE(value, at);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]);
    return count === 1 ? Buffer.concat([head, record]) : head;
  };
  const udp = createSocket('udp4');
  udp.on('message', (query, from) => udp.send(answer(query, 'udp'), from.port, from.address));
  udp.bind({ fd: sockets.udp({ host, port: 53 }).descriptor! });
  t.after(() => udp.close());
  const tcp = net.createServer((socket) =>
    socket.on('data', (bytes) => {
      // glibc asks for both families on one connection.
      for (let rest = bytes; rest.length > 2; rest = rest.subarray(2 + rest.readUInt16BE())) {
        const text = answer(rest.subarray(2, 2 + rest.readUInt16BE()), 'tcp');
        const length = Buffer.alloc(2);
        length.writeUInt16BE(text.length);
        socket.write(Buffer.concat([length, text]));
      }
    }),
  );
  await listenThere(t, tcp, sockets, { host, port: 53 });
  return asked;
}

/** The command line that shows a program another resolv.conf. */
function withResolvers(t: TestContext, text: string): readonly string[] {
  const file = path.join(temporaryFolder(t, 'resolvers'), 'resolv.conf');
  writeFileSync(file, text);
  return ['unshare', '--mount', '--', 'sh', '-c', `mount --bind ${file} /etc/resolv.conf && exec "$@"`, 'sh'];
}

test('a name is found by a resolver on loopback, by UDP and by TCP, and the file is the machine’s own', {
  skip,
}, async (t) => {
  const machine = await startMachine(t);
  const asked = await serveNames(t, machine.sockets, '127.0.0.53', world.v4);
  await serveHttp(t, machine.worldSockets, { host: world.v4, port: 8080 }, ({ headers }) => String(headers.host));
  const text = '# the stub\nsearch lan\noptions ndots:1 timeout:2\nnameserver 127.0.0.53\n';
  const command = [
    'sh',
    '-c',
    'cat /etc/resolv.conf; for name in shop.test long.test; do curl -sS http://$name:8080/; echo; done',
  ];
  const { stdout, stderr } = await machine.run(command, { before: withResolvers(t, text) });
  assert.equal(stdout, `${text}shop.test:8080\nlong.test:8080\n`, stderr);
  assert.ok(
    asked.some((line) => line.startsWith('udp') && line.includes('shop')),
    asked.join('; '),
  );
  assert.ok(
    asked.some((line) => line.startsWith('tcp') && line.includes('long')),
    asked.join('; '),
  );
  const spans = await machine.sink.received(2, ({ kind }) => kind === 'CLIENT');
  assert.deepEqual(
    spans.map(({ attributes }) => attributes['server.address']).filter((name) => name !== undefined),
    ['shop.test', 'long.test'],
  );
});

test('a resolver that the namespace reaches is asked directly; a link-local one by a stand-in', { skip }, async (t) => {
  const machine = await startMachine(t);
  const asked = await serveNames(t, machine.worldSockets, world.v4, world.v4);
  await serveHttp(t, machine.worldSockets, { host: world.v4, port: 8080 }, () => 'found');
  const before = readFileSync('/etc/resolv.conf', 'utf8');
  const text = `nameserver fe80::1%eth0\noptions timeout:1 attempts:1\nnameserver ${world.v4}\n`;
  const command = ['sh', '-c', 'cat /etc/resolv.conf; curl -sS http://shop.test:8080/'];
  const { stdout, stderr } = await machine.run(command, { before: withResolvers(t, text) });
  assert.equal(stdout, `${text.replace('fe80::1%eth0', '127.0.0.54')}found`, stderr);
  assert.ok(asked.length > 0);
  assert.equal(readFileSync('/etc/resolv.conf', 'utf8'), before);
});

test('a firewall that forwards and lets in nothing is passed', { skip }, async (t) => {
  const machine = await startMachine(t);
  for (const program of ['iptables', 'ip6tables']) {
    await machine.namespace.run(program, '-P', 'FORWARD', 'DROP');
    await machine.namespace.run(program, '-A', 'FORWARD', '-j', 'DROP');
    await machine.namespace.run(program, '-A', 'INPUT', '-i', 'tracecar+', '-j', 'DROP');
  }
  const before = await stateOf(machine);
  for (const [sockets, host] of [
    [machine.worldSockets, world.v4],
    [machine.worldSockets, world.v6],
    [machine.sockets, machineAddress.v4],
  ] as const) {
    await serveHttp(t, sockets, { host, port: 8080 }, () => host);
  }
  const command = [...get(world.v4), `http://[${world.v6}]:8080/`, `http://${machineAddress.v4}:8080/`];
  const { stdout, stderr } = await machine.run(command);
  assert.equal(stdout, `${world.v4}${world.v6}${machineAddress.v4}`, stderr);
  await machine.sink.received(3);
  assert.deepEqual(await stateOf(machine), before);
});

test('without IPv6 on the machine there is none inside, and all else is as ever', { skip }, async (t) => {
  const machine = await startMachine(t);
  await machine.namespace.run(
    'sh',
    '-c',
    'for i in all default lo eth0; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done',
  );
  await serveHttp(t, machine.worldSockets, { host: world.v4, port: 8080 }, () => 'by four');
  const { stdout, stderr } = await machine.run(['sh', '-c', `ip -6 address; ${get(world.v4).join(' ')}`]);
  assert.equal(stdout, 'by four', stderr);
  await machine.sink.received(1);
});

test('what the machine cannot reach fails at once inside, too', { skip }, async (t) => {
  const machine = await startMachine(t);
  const { code, stderr } = await machine.run(['curl', '-sS', 'http://203.0.113.9:8080/']);
  assert.equal(code, 7);
  assert.match(stderr, /curl: .*(unreachable|Couldn't connect)/);
  assert.deepEqual(machine.sink.spans, []);
});

const whoAmI = ['sh', '-c', 'id -un; id -gn; pwd; echo $HOME; env | grep -c -i _proxy; echo $KEPT'];
const whoNobodyIs = `nobody\nnogroup\n${root}\n/nonexistent\n0\nyes\n`;
const nobody = ['-u', '-g'].map((flag) => spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout?.trim() ?? '');

/** Whether this program's files are hidden from other users: a sidecar of theirs cannot be tested then. */
function hiddenFromNobody(): string | false {
  const [uid, gid] = nobody;
  const readable = `test -r ${path.join(root, 'package.json')} && test -x ${process.execPath}`;
  const become = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'sh', '-c', readable];
  return spawnSync('setpriv', become).status === 0 ? false : 'the program can be read by root alone';
}

test('the command runs as whom the operator says, in the same folder, with the same variables', { skip }, async (t) => {
  const machine = await startMachine(t);
  const { stdout, stderr } = await machine.run(whoAmI, { flags: ['--user', 'nobody'], env: { KEPT: 'yes' } });
  assert.equal(stdout, whoNobodyIs, stderr);
});

test('by sudo the command and the sidecar are those of the user who called it', {
  skip: skip || hiddenFromNobody(),
}, async (t) => {
  const machine = await startMachine(t);
  await serveHttp(t, machine.worldSockets, { host: world.v4, port: 8080 }, () => 'called');
  const [uid = '', gid = ''] = nobody;
  const env = { KEPT: 'yes', SUDO_UID: uid, SUDO_GID: gid };
  const { stdout, stderr } = await machine.run(whoAmI, { env });
  assert.equal(stdout, whoNobodyIs, stderr);
  const command = [
    'sh',
    '-c',
    `${get(world.v4).join(' ')}; ps -eo user:20,group:20,args | grep 'sidecar --.*--service=by-[s]udo'`,
  ];
  const ended = await machine.run(command, { flags: ['--service', 'by-sudo'], env });
  assert.match(ended.stdout, /^called/, ended.stderr);
  const owners = ended.stdout.slice('called'.length).trim().split('\n');
  for (const line of owners) assert.match(line, /^nobody +1337 /);
  assert.ok(owners.length > 1, 'the supervisor and its worker');
  await machine.sink.received(1);
});

test('interfaces that take router advertisements take them while the machine is a router', { skip }, async (t) => {
  const machine = await startMachine(t);
  await machine.namespace.run('ip', '-6', 'route', 'add', '2001:db8:9::/64', 'dev', 'eth0', 'proto', 'ra');
  const before = await stateOf(machine);
  const accepts = () => machine.namespace.run('cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra');
  assert.equal(await accepts(), '1\n');
  const program = await machine.start(['sleep', '1000']);
  assert.equal(await accepts(), '2\n');
  const routes = await machine.namespace.run('ip', '-6', 'route', 'show', 'proto', 'ra');
  assert.match(routes, /^2001:db8:9::\/64 /);
  assert.deepEqual(await program.stop(), { code: 143, signal: null });
  assert.deepEqual(await stateOf(machine), before);
});

test('what is missing is told in one line, and nothing is made', { skip }, async (t) => {
  const machine = await startMachine(t);
  const before = await stateOf(machine);
  const without = (program: string) => ['unshare', '--mount', '--', 'sh', '-c', `${hide(program)}; exec "$@"`, 'sh'];
  const dropped = (set: string) => ['setpriv', `--bounding-set=${set}`, '--'];
  const cases: [readonly string[], readonly string[], RegExp][] = [
    [dropped('-net_admin'), [], /^--netns: needs root \(the capabilities NET_ADMIN are missing\); run it by sudo$/],
    [dropped('-all'), [], /^--netns: needs root \(the capabilities .*NET_ADMIN, SYS_ADMIN are missing\)/],
    [without('ip'), [], /^--netns: ip is not installed; it is in the package iproute2$/],
    [without('iptables'), [], /^--netns: iptables is not installed; it is in the package iptables$/],
    [[], ['--capture', 'tproxy'], /^--netns: captures by redirect, not by --capture tproxy$/],
    [[], ['--user', 'no-such-user'], /^--user: "no-such-user" is not a user of this machine$/],
    [[], ['--user', '1337'], /^--netns: the command would run with uid 1337/],
    [[], ['--admin', `${world.v4}:15000`], /^--admin .*: cannot listen on .*: this machine has no such address$/],
  ];
  for (const [prefix, flags, message] of cases) {
    const ended = await machine.run(['echo', 'started'], { flags, before: prefix });
    const [line = '', ...others] = ended.stderr.trimEnd().split('\n');
    assert.match(line.replace(/^tracecar: /, ''), message);
    assert.deepEqual(others, []);
    assert.deepEqual([ended.code, ended.stdout], [2, ''], line);
  }
  assert.deepEqual(await stateOf(machine), before);
});

/** What takes a program away from where it may be, for this process alone. */
function hide(program: string): string {
  const folders = ['/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin', '/bin'];
  return folders
    .map((folder) => `[ ! -e ${folder}/${program} ] || mount --bind /dev/null ${folder}/${program}`)
    .join('; ');
}
