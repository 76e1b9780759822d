// `tracecar iptables` with the real tools of both variants, in network namespaces of its own.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  connectNamespaces,
  createNamespace,
  type Namespace,
  noNamespaces,
  type Output,
} from '../support/network-namespace.ts';
import { programArguments, root } from '../support/programs.ts';

const inNamespaces = { skip: noNamespaces };
const variants = ['nft', 'legacy'] as const;

/** A namespace with an IPv4 and an IPv6 address. */
async function createPod(t: TestContext): Promise<Namespace> {
  const pod = await createNamespace(t, 'pod');
  const peer = await createNamespace(t, 'peer');
  await connectNamespaces(
    { namespace: pod, device: 'eth0', addresses: ['10.9.0.2/24', 'fd00:9::2/64'] },
    { namespace: peer, device: 'eth0', addresses: ['10.9.0.1/24', 'fd00:9::1/64'] },
  );
  return pod;
}

/** Why a variant cannot be tested in this namespace, or undefined. */
async function findObstacle(pod: Namespace, variant: string): Promise<string | undefined> {
  for (const program of [`iptables-${variant}`, `ip6tables-${variant}`]) {
    const { code, stderr } = await pod.attempt(program, '-t', 'nat', '-S');
    if (code !== 0) return `${program} does not work here: ${stderr.trim().split('\n')[0]}`;
  }
  return undefined;
}

interface Result extends Output {
  /** The last line of the log; the whole text when it is not a log line. */
  readonly last: Readonly<Record<string, unknown>>;
}

/** Runs `tracecar iptables` behind a command that ends in a program's place. */
async function tracecar(pod: Namespace, args: readonly string[], through: readonly string[] = []): Promise<Result> {
  const command = [...through, process.execPath, ...programArguments, 'iptables', ...args];
  const output = await pod.attempt('env', '-C', root, 'LOG_LEVEL=info', ...command);
  const line = output.stderr.trim().split('\n').at(-1) ?? '';
  return { ...output, last: line.startsWith('{') ? JSON.parse(line) : { msg: line } };
}

/** Comments, empty tables, and link-local addresses, which the kernel adds in its own time. */
const incidental = /^(#|\*|COMMIT|:[A-Z]+ ACCEPT)|^local fe80::/;

/** Everything that rules can leave behind; tables without a rule or a chain of anyone's are no difference. */
async function snapshot(pod: Namespace): Promise<string> {
  const commands = [
    ...['iptables', 'ip6tables'].flatMap((program) => variants.map((variant) => [`${program}-${variant}-save`])),
    ...['-4', '-6'].flatMap((family) => [
      ['ip', family, 'rule', 'show'],
      ['ip', family, 'route', 'show', 'table', 'all'],
      ['ip', family, '-o', 'addr', 'show', 'dev', 'lo'],
    ]),
  ];
  const outputs = await Promise.all(commands.map((command) => pod.attempt(...command)));
  return outputs
    .map(({ stdout }, index) => {
      const lines = stdout.split('\n').filter((line) => !incidental.test(line));
      return [(commands[index] ?? []).join(' '), ...lines].join('\n');
    })
    .join('\n');
}

const configurations: readonly (readonly string[])[] = [
  [],
  [
    '--capture',
    'tproxy',
    '--drop-invalid',
    '-c',
    'net1',
    '-k',
    'vm0',
    '-x',
    '10.1.0.0/16,fd01::/16',
    '-o',
    '22',
    '-q',
    '443',
  ],
  ['--iptables', 'istio'],
  [
    '--iptables',
    'istio',
    '-m',
    'TPROXY',
    '--drop-invalid',
    '-c',
    'net1',
    '-k',
    'vm0',
    '-i',
    '10.1.2.3/8,fd00::/8',
    '-b',
    '80,8080',
  ],
];

for (const variant of variants) {
  for (const flags of configurations) {
    const name = flags.length === 0 ? 'without flags' : flags.join(' ');
    test(`${variant}, ${name}: apply, apply again, other flags, clean, clean again`, inNamespaces, async (t) => {
      const pod = await createPod(t);
      const obstacle = await findObstacle(pod, variant);
      if (obstacle !== undefined) return t.skip(obstacle);
      const before = await snapshot(pod);
      const asked = [...flags, '--force-iptables-binary', variant];
      const kind = flags.includes('istio') ? ['--iptables', 'istio'] : [];

      const first = await tracecar(pod, ['apply', ...asked]);
      assert.equal(first.code, 0, first.stderr);
      assert.deepEqual(
        [first.last.msg, first.last.variant, first.last.families],
        ['rules applied', variant, ['ipv4', 'ipv6']],
      );
      const applied = await snapshot(pod);
      assert.notEqual(applied, before);

      // Without being told, it finds the variant that is in use.
      const second = await tracecar(pod, ['apply', ...flags]);
      assert.deepEqual(
        [second.code, second.last.msg, second.last.variant],
        [0, 'no change: the rules are in force', variant],
      );
      assert.equal(await snapshot(pod), applied);

      const other = await tracecar(pod, ['apply', ...kind, '-b', '9999']);
      assert.deepEqual([other.code, other.last.msg], [0, 'rules applied']);
      const back = await tracecar(pod, ['apply', ...flags]);
      assert.deepEqual([back.code, back.last.msg, back.last.variant], [0, 'rules applied', variant]);

      const cleaned = await tracecar(pod, ['clean', ...kind]);
      assert.deepEqual([cleaned.code, cleaned.last.msg], [0, 'rules removed']);
      assert.equal(await snapshot(pod), before);
      const again = await tracecar(pod, ['clean', ...kind]);
      assert.deepEqual([again.code, again.last.msg], [0, 'nothing to clean: there are no rules of ours']);
    });
  }
}

test('what print shows can be run, and apply then finds nothing to change', inNamespaces, async (t) => {
  for (const flags of configurations) {
    const pod = await createPod(t);
    const { code, stdout } = await tracecar(pod, ['print', ...flags]);
    assert.equal(code, 0);
    await pod.run('sh', '-ec', stdout);
    const applied = await tracecar(pod, ['apply', ...flags]);
    assert.deepEqual([applied.code, applied.last.msg], [0, 'no change: the rules are in force'], flags.join(' '));
  }
});

const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

test('print works for an ordinary user, and shows what it shows to root', inNamespaces, async (t) => {
  const pod = await createPod(t);
  const readable = await pod.attempt(...asNobody, 'test', '-r', path.join(root, 'package.json'));
  if (readable.code !== 0) return t.skip('an ordinary user cannot read this checkout');
  const printed = await tracecar(pod, ['print'], asNobody);
  assert.equal(printed.code, 0, printed.stderr);
  assert.equal(printed.stdout, (await tracecar(pod, ['print'])).stdout);
  assert.match(printed.stdout, /^iptables-restore --noflush <<'RULES'\n\*nat\n/);
  assert.match(printed.stdout, /^ip6tables-restore --noflush <<'RULES'$/m);
});

test('without NET_ADMIN apply and clean say so in one line, and change nothing', inNamespaces, async (t) => {
  const pod = await createPod(t);
  const before = await snapshot(pod);
  const readable = await pod.attempt(...asNobody, 'test', '-r', path.join(root, 'package.json'));
  const without = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin'];
  for (const through of [without, ...(readable.code === 0 ? [asNobody] : [])]) {
    for (const action of ['apply', 'clean']) {
      const { code, stderr } = await tracecar(pod, [action], through);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^tracecar: no permission to change iptables: this needs the capability NET_ADMIN [^\n]*\n$/,
      );
    }
  }
  assert.equal(await snapshot(pod), before);
});

/** A folder to put first on PATH, with programs that are not what they seem. */
function fakePrograms(t: TestContext, scripts: Readonly<Record<string, string>>): string[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'tracecar-fake-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(path.join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(path.join(folder, name), 0o755);
  }
  return ['env', `PATH=${folder}:${process.env.PATH ?? ''}`];
}

test(
  'when IPv6 is refused, IPv4 is as it was: empty the first time, the old rules the second',
  inNamespaces,
  async (t) => {
    const pod = await createPod(t);
    const script = 'cat >/dev/null; echo "ip6tables-restore: unable to initialize table \'nat\'" >&2; exit 1';
    const broken = fakePrograms(t, { 'ip6tables-nft-restore': script, 'ip6tables-legacy-restore': script });
    const before = await snapshot(pod);
    const refused = await tracecar(pod, ['apply', '--capture', 'tproxy'], broken);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^tracecar: the kernel has no table nat for IPv6; [^\n]*--ipv6 off\n$/);
    assert.equal(await snapshot(pod), before);

    assert.equal((await tracecar(pod, ['apply'])).code, 0);
    const inForce = await snapshot(pod);
    assert.equal((await tracecar(pod, ['apply', '-b', '8080'], broken)).code, 1);
    assert.equal(await snapshot(pod), inForce);
    assert.equal(
      (await tracecar(pod, ['apply', '--ipv6', 'off', '-b', '8080'], broken)).code,
      1,
      'old IPv6 rules stay',
    );
    assert.equal(await snapshot(pod), inForce);
  },
);

test(
  'where no iptables is installed apply and clean say so in one line, and print still works',
  inNamespaces,
  async (t) => {
    const pod = await createPod(t);
    // A mount namespace of its own, in which the folder of system tools is empty.
    const hidden = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /usr/sbin && exec "$@"', 'sh'];
    if ((await pod.attempt(...hidden, 'sh', '-c', '! command -v iptables-save')).code !== 0) {
      return t.skip('the system tools cannot be hidden here');
    }
    for (const action of ['apply', 'clean']) {
      const { code, stderr } = await tracecar(pod, [action], hidden);
      assert.equal(code, 1);
      assert.match(stderr, /^tracecar: iptables is not installed [^\n]*install the package iptables\n$/);
    }
    assert.equal((await tracecar(pod, ['print'], hidden)).stdout, (await tracecar(pod, ['print'])).stdout);
  },
);

test("another mesh's rules are refused by name and left alone", inNamespaces, async (t) => {
  for (const variant of variants) {
    for (const chain of ['ISTIO_OUTPUT', 'PROXY_INIT_OUTPUT']) {
      const pod = await createPod(t);
      const obstacle = await findObstacle(pod, variant);
      if (obstacle !== undefined) return t.skip(obstacle);
      await pod.run(`iptables-${variant}`, '-t', 'nat', '-N', chain);
      await pod.run(`iptables-${variant}`, '-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '-j', chain);
      const before = await snapshot(pod);
      const { code, stderr } = await tracecar(pod, ['apply']);
      assert.equal(code, 1);
      assert.match(
        stderr,
        new RegExp(`^tracecar: the rules of \\w+ are here already \\(chains ${chain} of nat, IPv4\\); [^\\n]*\\n$`),
      );
      assert.equal((await tracecar(pod, ['clean'])).code, 0);
      assert.equal(await snapshot(pod), before);
    }
  }
});

test(
  'a run that was interrupted is completed by apply, and its remains are found by clean',
  inNamespaces,
  async (t) => {
    const pod = await createPod(t);
    const before = await snapshot(pod);
    assert.equal((await tracecar(pod, ['apply'])).code, 0);
    const whole = await snapshot(pod);
    await pod.run('ip6tables', '-t', 'nat', '-F');
    const repaired = await tracecar(pod, ['apply']);
    assert.deepEqual([repaired.code, repaired.last.msg], [0, 'rules repaired and applied']);
    assert.equal(await snapshot(pod), whole);

    await pod.run('iptables', '-t', 'nat', '-D', 'OUTPUT', '-p', 'tcp', '-j', 'TRACECAR_OUTPUT');
    await pod.run('ip', 'rule', 'add', 'fwmark', '1337', 'lookup', '133');
    await pod.run('ip', 'rule', 'add', 'fwmark', '1337', 'lookup', '133', 'priority', '99');
    assert.equal((await tracecar(pod, ['clean'])).code, 0);
    assert.equal(await snapshot(pod), before);
  },
);

test('rules of ours in the variant that is not asked for are moved, not doubled', inNamespaces, async (t) => {
  const pod = await createPod(t);
  const obstacle = await findObstacle(pod, 'legacy');
  if (obstacle !== undefined) return t.skip(obstacle);
  assert.equal((await tracecar(pod, ['apply', '--force-iptables-binary', 'legacy'])).code, 0);
  const moved = await tracecar(pod, ['apply', '--force-iptables-binary', 'nft']);
  assert.deepEqual(moved.last.changes, [
    'IPv4 nat: added (nft)',
    'IPv6 nat: added (nft)',
    'IPv4 nat: removed (legacy)',
    'IPv6 nat: removed (legacy)',
  ]);
  assert.doesNotMatch(await pod.run('iptables-legacy-save'), /TRACECAR/);
});

test('groups of the application are found by name', inNamespaces, async (t) => {
  const pod = await createPod(t);
  const through = ['env', 'ISTIO_OUTBOUND_OWNER_GROUPS=daemon'];
  assert.equal((await tracecar(pod, ['apply'], through)).code, 0);
  assert.equal((await tracecar(pod, ['apply'], through)).last.msg, 'no change: the rules are in force');
  const unknown = await tracecar(pod, ['apply'], ['env', 'ISTIO_OUTBOUND_OWNER_GROUPS=nosuchgroup']);
  assert.deepEqual(
    [unknown.code, unknown.stderr],
    [2, 'tracecar: ISTIO_OUTBOUND_OWNER_GROUPS: there is no group "nosuchgroup" here\n'],
  );
});

test('bad usage is one line and exit code 2, before anything is run', inNamespaces, async (t) => {
  const pod = await createPod(t);
  for (const args of [
    ['apply', '-x', '*'],
    ['apply', '-u', '0'],
    ['apply', '-p', 'x'],
    ['restart'],
    [],
    ['apply', '--wrong'],
  ]) {
    const { code, stderr } = await tracecar(pod, args);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /^tracecar: [^\n]+\n$/);
  }
});
