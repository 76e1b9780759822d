// Setting the rules on a machine in memory: nothing twice, everything or nothing, and no other mesh touched.
import assert from 'node:assert/strict';
import test from 'node:test';
import { applyRules } from '../../src/iptables/apply.ts';
import { cleanRules } from '../../src/iptables/clean.ts';
import { defaultFlags, type IptablesFlags, parseIptablesConfig } from '../../src/iptables/config.ts';
import { createFakeMachine, ipv6Address } from './support/fake-machine.ts';

function configOf(flags: Partial<IptablesFlags> = {}, environment: Record<string, string> = {}) {
  return parseIptablesConfig({ ...defaultFlags, ...flags }, environment);
}

const refusal = { status: 1, stderr: 'ip6tables-restore v1.8.9 (nf_tables): something else' };

test('a pod with an IPv6 address gets both families, one without only IPv4', () => {
  const single = createFakeMachine();
  const dual = createFakeMachine(ipv6Address);
  assert.deepEqual(applyRules(configOf(), single).families, ['ipv4']);
  assert.deepEqual(applyRules(configOf(), dual).families, ['ipv4', 'ipv6']);
  assert.ok(!single.dump().some((line) => line.includes('ipv6')));
  assert.ok(dual.dump().includes('nft ipv6 nat OUTPUT: -p tcp -j TRACECAR_OUTPUT'));
});

test('a second apply changes nothing and says so', () => {
  const machine = createFakeMachine(ipv6Address);
  assert.deepEqual(applyRules(configOf(), machine).changes, ['IPv4 nat: added (nft)', 'IPv6 nat: added (nft)']);
  const before = machine.dump();
  machine.changes.length = 0;
  assert.deepEqual(applyRules(configOf(), machine).changes, []);
  assert.deepEqual(machine.changes, []);
  assert.deepEqual(machine.dump(), before);
});

test('other flags replace the chains, and leave the jumps and the rules of others where they are', () => {
  const machine = createFakeMachine();
  machine.restore('nft', 'ipv4', '*nat\n:DOCKER_OUTPUT - [0:0]\n-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT\nCOMMIT\n');
  applyRules(configOf(), machine);
  const report = applyRules(configOf({ istioInboundPorts: '8080' }), machine);
  assert.deepEqual(report.changes, ['IPv4 nat: replaced (nft)']);
  assert.equal(report.repaired, undefined);
  const rules = machine.dump().filter((line) => / (OUTPUT|TRACECAR_INBOUND): /.test(line));
  assert.deepEqual(rules, [
    'nft ipv4 nat OUTPUT: -d 127.0.0.11/32 -j DOCKER_OUTPUT',
    'nft ipv4 nat OUTPUT: -p tcp -j TRACECAR_OUTPUT',
    'nft ipv4 nat TRACECAR_INBOUND: -p tcp --dport 8080 -j TRACECAR_IN_REDIRECT',
  ]);
});

test('from TPROXY back to REDIRECT the marks, their route and their chains are gone', () => {
  const machine = createFakeMachine(ipv6Address);
  applyRules(configOf({ capture: 'tproxy' }), machine);
  assert.ok(machine.dump().includes('-6 route local default dev lo table 133'));
  applyRules(configOf(), machine);
  const fresh = createFakeMachine(ipv6Address);
  applyRules(configOf(), fresh);
  assert.deepEqual(machine.dump().sort(), fresh.dump().sort());
});

test('when a later table is refused, the earlier ones are as they were', () => {
  const machine = createFakeMachine(ipv6Address);
  machine.restore('nft', 'ipv4', '*nat\n:DOCKER_OUTPUT - [0:0]\n-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT\nCOMMIT\n');
  const before = machine.dump();
  machine.broken.set('ip6tables-nft-restore', refusal);
  assert.throws(() => applyRules(configOf({ capture: 'tproxy' }), machine), {
    message: 'ip6tables-nft-restore failed (1): ip6tables-restore v1.8.9 (nf_tables): something else',
  });
  assert.ok(machine.changes.includes('iptables-nft-restore --noflush'), 'IPv4 had been set');
  assert.deepEqual(machine.dump(), before);
});

test('a refused change of rules in force leaves the old ones in force', () => {
  const machine = createFakeMachine(ipv6Address);
  applyRules(configOf(), machine);
  const before = machine.dump();
  machine.broken.set('ip6tables-nft-restore', refusal);
  assert.throws(() => applyRules(configOf({ istioInboundPorts: '8080' }), machine), /something else/);
  assert.deepEqual(machine.dump().sort(), before.sort());
});

test('what an interrupted run left in one family is completed, and that is said', () => {
  const machine = createFakeMachine();
  applyRules(configOf(), machine);
  machine.files.set('/proc/net/if_inet6', ipv6Address);
  const report = applyRules(configOf(), machine);
  assert.equal(report.repaired, 'the rules were there for IPv4 only');
  assert.deepEqual(report.changes, ['IPv6 nat: added (nft)']);
});

test('chains that nothing leads to are an interrupted run as well', () => {
  const machine = createFakeMachine();
  machine.restore('nft', 'ipv4', '*nat\n:TRACECAR_OUTPUT - [0:0]\n:TRACECAR_OLD - [0:0]\nCOMMIT\n');
  assert.equal(
    applyRules(configOf(), machine).repaired,
    'the chains of nat were there for IPv4, but nothing led to them',
  );
  assert.ok(!machine.dump().some((line) => line.includes('TRACECAR_OLD')));
});

test("another mesh's rules are named and left alone", () => {
  const chains: Record<string, [string, RegExp]> = {
    ISTIO_OUTPUT: [
      'tracecar',
      /rules of Istio are here already \(chains ISTIO_OUTPUT of nat, IPv4\); .*clean --iptables istio/,
    ],
    PROXY_INIT_REDIRECT: ['istio', /rules of Linkerd are here already \(chains PROXY_INIT_REDIRECT of nat, IPv4\)/],
    TRACECAR_OUTPUT: ['istio', /rules of Tracecar are here already .*run "tracecar iptables clean" first/],
  };
  for (const [chain, [iptables, message]] of Object.entries(chains)) {
    for (const variant of ['nft', 'legacy'] as const) {
      const machine = createFakeMachine();
      machine.restore(variant, 'ipv4', `*nat\n:${chain} - [0:0]\nCOMMIT\n`);
      assert.throws(() => applyRules(configOf({ iptables }), machine), { message });
      assert.deepEqual(machine.changes, []);
    }
  }
});

test('rules of the legacy variant decide for legacy; ours that are in the other variant are moved', () => {
  const machine = createFakeMachine();
  machine.restore('legacy', 'ipv4', '*nat\n-A OUTPUT -d 127.0.0.11/32 -j RETURN\nCOMMIT\n');
  assert.equal(applyRules(configOf(), machine).variant, 'legacy');
  assert.ok(machine.changes.includes('iptables-legacy-restore --noflush --wait=30'));
  const report = applyRules(configOf({ forceIptablesBinary: 'nft' }), machine);
  assert.deepEqual(report.changes, ['IPv4 nat: added (nft)', 'IPv4 nat: removed (legacy)']);
  assert.ok(!machine.dump().some((line) => line.startsWith('legacy') && line.includes('TRACECAR')));
});

test('missing programs and privileges are one line each, and nothing is changed', () => {
  const cases: [RegExp, (machine: ReturnType<typeof createFakeMachine>) => void, Partial<IptablesFlags>?][] = [
    [
      /^iptables is not installed \(no iptables-save on PATH\); install the package iptables$/,
      ({ missing }) => {
        for (const program of ['iptables', 'iptables-nft', 'iptables-legacy']) missing.add(`${program}-save`);
      },
    ],
    [
      /^iptables-legacy is not installed/,
      ({ missing }) => missing.add('iptables-legacy-save'),
      { forceIptablesBinary: 'legacy' },
    ],
    [/^ip6tables-nft-save is not installed/, ({ missing }) => missing.add('ip6tables-nft-save')],
    [/^ip6tables-nft-restore is not installed.*--ipv6 off$/, ({ missing }) => missing.add('ip6tables-nft-restore')],
    [/needs it: install iproute2$/, ({ missing }) => missing.add('ip'), { capture: 'tproxy' }],
    [/^no permission .* NET_ADMIN/, ({ files }) => files.set('/proc/self/status', 'CapEff:\t00000000a80425fb\n')],
    [
      /^no permission .* NET_ADMIN/,
      ({ broken }) => broken.set('iptables-nft-restore', { status: 4, stderr: 'Permission denied (you must be root)' }),
    ],
  ];
  for (const [message, breakIt, flags] of cases) {
    const machine = createFakeMachine(ipv6Address);
    breakIt(machine);
    assert.throws(() => applyRules(configOf(flags), machine), { message });
    assert.deepEqual(machine.dump(), []);
  }
});

test('a tool that does not do what it says is found out, and what it did is taken back', () => {
  const machine = createFakeMachine();
  const forgetful = {
    ...machine,
    run: (...[command, input]: Parameters<typeof machine.run>) =>
      machine.run(command, input?.replace('-A TRACECAR_OUTPUT -o lo -j RETURN\n', '')),
  };
  assert.throws(() => applyRules(configOf(), forgetful), {
    message: 'the rules of TRACECAR_OUTPUT (nat, IPv4) read back are not those set',
  });
  assert.deepEqual(machine.dump(), []);
});

test('groups are set by id, and one that does not exist is bad usage', () => {
  const machine = createFakeMachine();
  applyRules(configOf({}, { ISTIO_OUTBOUND_OWNER_GROUPS: 'java' }), machine);
  assert.ok(machine.dump().includes('nft ipv4 nat TRACECAR_OUTPUT: -m owner ! --gid-owner 2020 -j RETURN'));
  assert.throws(() => applyRules(configOf({}, { ISTIO_OUTBOUND_OWNER_GROUPS: 'jawa' }), machine), {
    name: 'UsageError',
    message: 'ISTIO_OUTBOUND_OWNER_GROUPS: there is no group "jawa" here',
  });
});

test('clean takes away all of it and nothing else, and doing it again is fine', () => {
  for (const flags of [
    {},
    { capture: 'tproxy' },
    { iptables: 'istio' },
    { iptables: 'istio', capture: 'tproxy', istioExcludeInterfaces: 'eth7' },
  ]) {
    const machine = createFakeMachine(ipv6Address);
    machine.restore('nft', 'ipv4', '*nat\n-A OUTPUT -d 127.0.0.11/32 -j RETURN\nCOMMIT\n');
    const before = machine.dump();
    const config = configOf(flags);
    applyRules(config, machine);
    assert.ok(cleanRules(config.kind, machine).changes.length >= 2);
    assert.deepEqual(machine.dump(), before);
    assert.deepEqual(cleanRules(config.kind, machine), { changes: [], left: [] });
  }
});

test("clean leaves Istio's chains alone unless told to, and says that they are there", () => {
  const machine = createFakeMachine();
  applyRules(configOf({ iptables: 'istio', capture: 'tproxy' }), machine);
  const before = machine.dump();
  assert.ok(cleanRules('tracecar', machine).left.includes('ISTIO_OUTPUT'));
  assert.deepEqual(machine.dump(), before);
});

test('clean names what holds on to a chain of ours', () => {
  const machine = createFakeMachine();
  applyRules(configOf(), machine);
  machine.restore('nft', 'ipv4', '*nat\n:CUSTOM - [0:0]\n-A CUSTOM -j TRACECAR_REDIRECT\nCOMMIT\n');
  assert.throws(() => cleanRules('tracecar', machine), {
    message: 'CUSTOM of nat (IPv4) jumps to a chain of ours; remove it first',
  });
});
