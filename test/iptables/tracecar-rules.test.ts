// Our own rules by what they do to a connection, in both families.
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Family } from '../../src/iptables/cidr.ts';
import { defaultFlags, type IptablesFlags, parseIptablesConfig } from '../../src/iptables/config.ts';
import { tracecarRules } from '../../src/iptables/tracecar-rules.ts';
import { type Packet, verdictOf } from './support/packet.ts';

const addresses = {
  ipv4: { loopback: '127.0.0.1', pod: '10.9.0.2', far: '10.4.5.6' },
  ipv6: { loopback: '::1', pod: 'fd00:9::2', far: '2001:db8::7' },
} as const;
const families = ['ipv4', 'ipv6'] as const;

function rulesOf(flags: Partial<IptablesFlags>, family: Family, environment: Record<string, string> = {}) {
  return tracecarRules(parseIptablesConfig({ ...defaultFlags, ...flags }, environment), family);
}

const application = { uid: 1000, gid: 1000 };
const sidecar = { uid: 1337, gid: 1337 };

for (const family of families) {
  const { loopback, pod, far } = addresses[family];
  const inbound: Packet = { hook: 'PREROUTING', interface: 'eth0', source: far, destination: pod, port: 8080 };
  const outbound: Packet = {
    hook: 'OUTPUT',
    interface: 'eth0',
    source: pod,
    destination: far,
    port: 80,
    ...application,
  };
  const toSelf: Packet = { ...outbound, interface: 'lo' };

  test(`${family}: what comes in goes to the inbound port, what the application sends to the outbound one`, () => {
    const rules = rulesOf({}, family);
    assert.equal(verdictOf(rules, 'nat', inbound), 'REDIRECT 15006');
    assert.equal(verdictOf(rules, 'nat', outbound), 'REDIRECT 15001');
    assert.equal(verdictOf(rules, 'nat', { ...outbound, protocol: 'udp', port: 53 }), 'pass');
  });

  test(`${family}: what the sidecar sends is never captured, on any leg, by its user or by its group alone`, () => {
    const rules = rulesOf({}, family);
    for (const owner of [sidecar, { uid: 0, gid: 1337 }, { uid: 1337, gid: 0 }]) {
      assert.equal(verdictOf(rules, 'nat', { ...outbound, ...owner }), 'pass');
      assert.equal(verdictOf(rules, 'nat', { ...toSelf, ...owner, destination: pod, port: 8080 }), 'pass');
      assert.equal(verdictOf(rules, 'nat', { ...toSelf, ...owner, destination: loopback, port: 8080 }), 'pass');
    }
  });

  test(`${family}: the application's own traffic over loopback and to the pod's own address stays direct`, () => {
    const rules = rulesOf({}, family);
    for (const destination of [loopback, pod]) {
      assert.equal(verdictOf(rules, 'nat', { ...toSelf, destination, port: 8080 }), 'pass');
    }
  });

  test(`${family}: the two probes lead to the two ports, also when the sidecar itself asks`, () => {
    const rules = rulesOf({ istioServiceCidr: '', istioInboundPorts: '' }, family);
    const probe: Packet = { ...toSelf, destination: loopback, port: 15002, ...sidecar };
    assert.equal(verdictOf(rules, 'nat', probe), 'REDIRECT 15006');
    assert.equal(verdictOf(rules, 'nat', { ...probe, port: 15003 }), 'REDIRECT 15001');
    assert.equal(verdictOf(rules, 'nat', { ...probe, destination: pod }), 'pass');
  });

  test(`${family}: excluded ports, ranges and interfaces pass, and beat included ones`, () => {
    const excluded = family === 'ipv4' ? '10.4.0.0/16' : '2001:db8::/64';
    const flags = {
      istioLocalExcludePorts: '22',
      istioLocalOutboundPortsExclude: '3306',
      istioExcludeInterfaces: 'net1',
    };
    const rules = rulesOf({ ...flags, istioServiceExcludeCidr: excluded, istioOutboundPorts: '80' }, family);
    assert.equal(verdictOf(rules, 'nat', { ...inbound, port: 22 }), 'pass');
    assert.equal(verdictOf(rules, 'nat', { ...inbound, port: 15020 }), 'REDIRECT 15006');
    assert.equal(verdictOf(rules, 'nat', { ...inbound, interface: 'net1' }), 'pass');
    assert.equal(verdictOf(rules, 'nat', { ...outbound, interface: 'net1' }), 'pass');
    assert.equal(verdictOf(rules, 'nat', outbound), 'pass');
    assert.equal(verdictOf(rules, 'nat', { ...outbound, port: 3306, destination: pod }), 'pass');
  });

  test(`${family}: with lists only what they name is captured`, () => {
    const range = family === 'ipv4' ? '10.4.0.0/16' : '2001:db8::/64';
    const rules = rulesOf({ istioServiceCidr: range, istioOutboundPorts: '443', istioInboundPorts: '8080' }, family);
    assert.equal(verdictOf(rules, 'nat', outbound), 'REDIRECT 15001');
    assert.equal(verdictOf(rules, 'nat', { ...outbound, destination: pod }), 'pass');
    assert.equal(verdictOf(rules, 'nat', { ...outbound, destination: pod, port: 443 }), 'REDIRECT 15001');
    assert.equal(verdictOf(rules, 'nat', inbound), 'REDIRECT 15006');
    assert.equal(verdictOf(rules, 'nat', { ...inbound, port: 8081 }), 'pass');
  });

  test(`${family}: what comes from a virtual machine is outbound`, () => {
    const rules = rulesOf({ kubeVirtInterfaces: 'vm0' }, family);
    assert.equal(verdictOf(rules, 'nat', { ...inbound, interface: 'vm0', destination: far }), 'REDIRECT 15001');
    const none = rulesOf({ kubeVirtInterfaces: 'vm0', istioServiceCidr: '' }, family);
    assert.equal(verdictOf(none, 'nat', { ...inbound, interface: 'vm0', destination: far }), 'pass');
  });

  test(`${family}: of the groups of the application only the named ones, or all but the named ones, are captured`, () => {
    const some = rulesOf({}, family, { ISTIO_OUTBOUND_OWNER_GROUPS: '1000,1001' });
    assert.equal(verdictOf(some, 'nat', outbound), 'REDIRECT 15001');
    assert.equal(verdictOf(some, 'nat', { ...outbound, gid: 1002 }), 'pass');
    const others = rulesOf({}, family, { ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: '1000' });
    assert.equal(verdictOf(others, 'nat', outbound), 'pass');
    assert.equal(verdictOf(others, 'nat', { ...outbound, gid: 1002 }), 'REDIRECT 15001');
  });

  test(`${family}: TPROXY takes new inbound connections, and the way back of those the sidecar opened`, () => {
    const rules = rulesOf({ capture: 'tproxy' }, family);
    assert.equal(verdictOf(rules, 'mangle', inbound), 'TPROXY 15006');
    assert.equal(verdictOf(rules, 'nat', inbound), 'pass');
    assert.equal(verdictOf(rules, 'mangle', { ...inbound, state: 'ESTABLISHED' }), 'pass 1337');
    assert.equal(verdictOf(rules, 'mangle', { ...inbound, port: 15020 }), 'pass');
    // The sidecar to the application, over lo from the client's address, marked; and the application's answer.
    assert.equal(verdictOf(rules, 'mangle', { ...inbound, interface: 'lo', mark: 1337 }), 'pass');
    const answer: Packet = { ...outbound, connmark: 1337 };
    assert.equal(verdictOf(rules, 'mangle', answer), 'pass 1337');
    assert.equal(verdictOf(rules, 'mangle', { ...answer, connmark: 0 }), 'pass');
    assert.equal(verdictOf(rules, 'nat', outbound), 'REDIRECT 15001');
    assert.deepEqual(rules.routing, ['rule', 'route']);
  });

  test(`${family}: with TPROXY the inbound probe is met in mangle, and nothing else on lo is`, () => {
    const rules = rulesOf({ capture: 'tproxy' }, family);
    const probe: Packet = { hook: 'PREROUTING', interface: 'lo', source: loopback, destination: loopback, port: 15002 };
    assert.equal(verdictOf(rules, 'mangle', probe), 'TPROXY 15006');
    assert.equal(verdictOf(rules, 'mangle', { ...probe, port: 8080 }), 'pass');
    assert.equal(verdictOf(rules, 'nat', { ...probe, hook: 'OUTPUT', ...sidecar }), 'pass');
  });

  test(`${family}: packets of no known connection are dropped when that is asked for`, () => {
    const invalid = { ...inbound, state: 'INVALID' };
    assert.equal(verdictOf(rulesOf({ dropInvalid: true }, family), 'mangle', invalid), 'DROP');
    assert.equal(verdictOf(rulesOf({ dropInvalid: true }, family), 'mangle', inbound), 'pass');
    assert.deepEqual(
      rulesOf({}, family).tables.map(({ table }) => table),
      ['nat'],
    );
  });
}

test('a loopback range that is asked for is captured, the rest of loopback is not', () => {
  const rules = rulesOf({ istioServiceCidr: '127.1.2.3/32,10.0.0.0/8' }, 'ipv4');
  const toSelf: Packet = { hook: 'OUTPUT', interface: 'lo', destination: '127.1.2.3', port: 80, ...application };
  assert.equal(verdictOf(rules, 'nat', toSelf), 'REDIRECT 15001');
  assert.equal(verdictOf(rules, 'nat', { ...toSelf, destination: '127.0.0.1' }), 'pass');
  assert.equal(verdictOf(rules, 'nat', { ...toSelf, ...sidecar }), 'pass');
});

test('whatever the flags, no connection of the sidecar is captured but a probe', () => {
  const ports = fc.oneof(fc.constant(''), fc.constant('*'), fc.constant('80'), fc.constant('8080,443'));
  const listed = fc.constantFrom('', '80', '8080,443,15002');
  const ranges = fc.constantFrom('', '*', '127.0.0.0/8', '10.0.0.0/8,127.0.0.1', '0.0.0.0/0');
  const flags = fc.record({
    capture: fc.constantFrom('redirect', 'tproxy'),
    istioInboundPorts: ports,
    istioServiceCidr: ranges,
    istioOutboundPorts: listed,
    kubeVirtInterfaces: fc.constantFrom('', 'eth0'),
    istioExcludeInterfaces: fc.constantFrom('', 'eth1'),
  });
  const packet = fc.record({
    destination: fc.constantFrom('127.0.0.1', '127.9.9.9', '10.9.0.2', '8.8.8.8'),
    port: fc.constantFrom(80, 443, 8080, 15001, 15006, 15002, 15003),
    interface: fc.constantFrom('lo', 'eth0', 'eth1'),
  });
  fc.assert(
    fc.property(flags, packet, (chosen, to) => {
      const isProbe = to.destination === '127.0.0.1' && (to.port === 15002 || to.port === 15003);
      const verdict = verdictOf(rulesOf(chosen, 'ipv4'), 'nat', { hook: 'OUTPUT', ...to, ...sidecar });
      assert.ok(verdict === 'pass' || isProbe, `${verdict} for ${JSON.stringify({ chosen, to })}`);
    }),
  );
});
