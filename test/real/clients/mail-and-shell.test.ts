// SMTP and SSH behind a sidecar: the server speaks first, the client waits for it, and nothing is delayed.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  absent,
  absentModules,
  assertAlike,
  find,
  freePort,
  python,
  run,
  startServer,
  temporaryFolder,
} from './support/commands.ts';
import { fastestGreetingMs, greeting } from './support/greeting.ts';
import { assertUnchanged, assertUnreadSpan, startWire, type Wire } from './support/wire.ts';

const programs = path.join(import.meta.dirname, 'programs');
/** More than any hand-over costs, less than any wait for bytes that might come. */
const noDelayMs = 25;

async function assertGreetedAtOnce(t: TestContext, wire: Wire, words: RegExp): Promise<void> {
  assert.match((await greeting(wire.sidecar.inbound)).text, words);
  const direct = await fastestGreetingMs(wire.direct);
  const proxied = await fastestGreetingMs(wire.sidecar.inbound);
  t.diagnostic(`greeting: ${direct.toFixed(1)} ms directly, ${proxied.toFixed(1)} ms through the sidecar`);
  assert.ok(proxied < direct + noDelayMs);
}

async function makeCertificate(folder: string): Promise<readonly [string, string]> {
  const key = path.join(folder, 'key.pem');
  const certificate = path.join(folder, 'certificate.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
  const { code, stderr } = await run('openssl', [...args, '-keyout', key, '-out', certificate]);
  assert.equal(code, 0, stderr);
  return [certificate, key];
}

const mailPrograms = absent('python3', 'openssl') || absentModules('aiosmtpd');

for (const [what, tls] of [
  ['in the clear', false],
  ['after STARTTLS', true],
] as const) {
  test(`mail goes by SMTP ${what} through a sidecar, without delay`, { skip: mailPrograms }, async (t) => {
    const folder = temporaryFolder(t, 'smtp');
    const [certificate, key] = await makeCertificate(folder);
    const port = await freePort();
    const server = await startServer(t, port, python, [
      ...[path.join(programs, 'mail_server.py'), String(port)],
      ...(tls ? [certificate, key] : []),
    ]);
    const wire = await startWire(t, port);
    const send = (through: number) =>
      run(python, [path.join(programs, 'mail_client.py'), String(through), ...(tls ? [certificate] : [])]);
    const through = await send(wire.through);
    const received = server.output();
    assertAlike(through, await send(wire.direct));
    assert.match(through.stdout, tls ? /^TLS TLSv1\.3\n/ : /^sent\n/m);
    assert.match(received, /from a@example\.com to b@example\.com, 203311 bytes/);
    assert.equal(server.output().slice(received.length), received, 'the server got the same mail directly');
    assert.equal(await assertUnchanged(wire), 1);
    await assertUnreadSpan(wire, { 'tracecar.protocol': 'opaque' });
    await assertGreetedAtOnce(t, wire, /^220 .*ESMTP/);
  });
}

const shellPrograms = absent('sshd', 'ssh', 'ssh-keygen');
/** What sshd insists on when root starts it. */
const separationFolder = '/run/sshd';

interface Shell {
  readonly port: number;
  readonly clientKey: string;
}

async function startSshd(t: TestContext): Promise<Shell> {
  const folder = temporaryFolder(t, 'sshd');
  if (process.getuid?.() === 0 && !existsSync(separationFolder)) {
    mkdirSync(separationFolder, { mode: 0o755 });
    t.after(() => rmSync(separationFolder, { recursive: true, force: true }));
  }
  const keys = ['host', 'client'].map((name) => path.join(folder, name));
  for (const key of keys) assert.equal((await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])).code, 0);
  const [hostKey = '', clientKey = ''] = keys;
  const port = await freePort();
  const options = [
    `HostKey=${hostKey}`,
    `AuthorizedKeysFile=${clientKey}.pub`,
    ...['StrictModes=no', 'UsePAM=no', 'PasswordAuthentication=no', 'PermitRootLogin=yes'],
    ...[`PidFile=${folder}/pid`, 'ListenAddress=127.0.0.1', 'UseDNS=no', 'PrintMotd=no'],
  ];
  const args = ['-D', '-e', '-f', '/dev/null', '-p', String(port), ...options.flatMap((option) => ['-o', option])];
  await startServer(t, port, find('sshd') ?? 'sshd', args);
  return { port, clientKey };
}

test('ssh runs a command and copies a megabyte each way through a sidecar, without delay', {
  skip: shellPrograms,
}, async (t) => {
  const { port, clientKey } = await startSshd(t);
  const wire = await startWire(t, port);
  const options = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
  const common = ['-F', '/dev/null', '-i', clientKey, ...options.flatMap((option) => ['-o', option])];
  const input = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * 7919) & 0xff));
  const ssh = (to: number, command: string) =>
    run('ssh', [...common, '-p', String(to), `${userInfo().username}@127.0.0.1`, command], { input });
  const through = await ssh(wire.through, 'cat; echo done >&2; exit 3');
  assertAlike(through, await ssh(wire.direct, 'cat; echo done >&2; exit 3'));
  assert.equal(through.code, 3);
  assert.equal(through.stderr, 'done\n');
  assert.ok(Buffer.from(through.stdout, 'latin1').equals(input), 'what was sent came back');
  assert.equal(await assertUnchanged(wire), 1);
  await assertUnreadSpan(wire, { 'tracecar.protocol': 'opaque' });
  await assertGreetedAtOnce(t, wire, /^SSH-2\.0-/);
});
