// Istio's chains, row by row: what each rule of the table in its documentation is there for.
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Family } from '../../src/iptables/cidr.ts';
import { defaultFlags, type IptablesFlags, parseIptablesConfig } from '../../src/iptables/config.ts';
import { istioRules } from '../../src/iptables/istio-rules.ts';
import { type Packet, verdictOf } from './support/packet.ts';

function rulesOf(flags: Partial<IptablesFlags>, environment: Record<string, string> = {}, family: Family = 'ipv4') {
  return istioRules(parseIptablesConfig({ ...defaultFlags, iptables: 'istio', ...flags }, environment), family);
}

/** The rules of one chain, in the order they are evaluated. */
function chainOf(table: string, chain: string, rules: ReturnType<typeof rulesOf>): string[] {
  const own = (rules.tables.find((candidate) => candidate.table === table)?.rules ?? []).filter(
    (rule) => rule.chain === chain,
  );
  return [...own.filter(({ first }) => first).reverse(), ...own.filter(({ first }) => !first)].map(({ spec }) => spec);
}

const pod = '10.9.0.2';
const inbound: Packet = { hook: 'PREROUTING', interface: 'eth0', source: '10.4.5.6', destination: pod, port: 8080 };
const outbound: Packet = {
  hook: 'OUTPUT',
  interface: 'eth0',
  source: pod,
  destination: '10.4.5.6',
  port: 80,
  uid: 1000,
  gid: 1000,
};
const toSelf: Packet = { ...outbound, interface: 'lo', destination: pod, port: 8080 };
const proxy = { uid: 1337, gid: 1337 };

test('P0 to P3: excluded interfaces first, then virtual ones, then everything inbound', () => {
  const flags = { istioExcludeInterfaces: 'net1', kubeVirtInterfaces: 'vm0,vm1', istioServiceCidr: '10.0.0.0/8' };
  assert.deepEqual(chainOf('nat', 'PREROUTING', rulesOf(flags)), [
    '-i vm1 -d 10.0.0.0/8 -j ISTIO_REDIRECT',
    '-i vm0 -d 10.0.0.0/8 -j ISTIO_REDIRECT',
    '-i vm1 -j RETURN',
    '-i vm0 -j RETURN',
    '-i net1 -j RETURN',
    '-p tcp -j ISTIO_INBOUND',
  ]);
  assert.deepEqual(chainOf('nat', 'PREROUTING', rulesOf({ istioInboundPorts: '' })), []);
});

test('I1 to I3: the tunnel and the excluded ports reach the pod, everything else the inbound port', () => {
  const rules = rulesOf({});
  for (const port of [15008, 15090, 15021, 15020]) {
    assert.equal(verdictOf(rules, 'nat', { ...inbound, port }), 'pass');
  }
  assert.equal(verdictOf(rules, 'nat', inbound), 'REDIRECT 15006');
});

test('an explicit list of inbound ports replaces the wildcard and its exclusions', () => {
  const rules = rulesOf({ istioInboundPorts: '8080,15090', istioLocalExcludePorts: '15090' });
  assert.deepEqual(chainOf('nat', 'ISTIO_INBOUND', rules), [
    '-p tcp --dport 15008 -j RETURN',
    '-p tcp --dport 8080 -j ISTIO_IN_REDIRECT',
    '-p tcp --dport 15090 -j ISTIO_IN_REDIRECT',
  ]);
});

test('the rules of ISTIO_OUTPUT stand in the order of the table', () => {
  const flags = {
    istioLocalOutboundPortsExclude: '3306',
    istioServiceExcludeCidr: '10.1.0.0/16',
    istioOutboundPorts: '443',
  };
  assert.deepEqual(chainOf('nat', 'ISTIO_OUTPUT', rulesOf(flags, { ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: '888' })), [
    '-p tcp --dport 3306 -j RETURN',
    '-p udp --dport 3306 -j RETURN',
    '-o lo -s 127.0.0.6/32 -j RETURN',
    '-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT',
    '-o lo -m owner ! --uid-owner 1337 -j RETURN',
    '-m owner --uid-owner 1337 -j RETURN',
    '-o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --gid-owner 1337 -j ISTIO_IN_REDIRECT',
    '-o lo -m owner ! --gid-owner 1337 -j RETURN',
    '-m owner --gid-owner 1337 -j RETURN',
    '-m owner --gid-owner 888 -j RETURN',
    '-d 127.0.0.1/32 -j RETURN',
    '-d 10.1.0.0/16 -j RETURN',
    '-p tcp --dport 443 -j ISTIO_REDIRECT',
    '-j ISTIO_REDIRECT',
  ]);
});

test('the inbound leg from 127.0.0.6 passes; the proxy calling its own pod comes in again; no other loop', () => {
  const rules = rulesOf({});
  assert.equal(verdictOf(rules, 'nat', { ...toSelf, ...proxy, source: '127.0.0.6' }), 'pass');
  assert.equal(verdictOf(rules, 'nat', { ...toSelf, ...proxy }), 'REDIRECT 15006');
  assert.equal(verdictOf(rules, 'nat', { ...toSelf, ...proxy, port: 15008 }), 'pass');
  assert.equal(verdictOf(rules, 'nat', { ...toSelf, ...proxy, destination: '127.0.0.1' }), 'pass');
  assert.equal(verdictOf(rules, 'nat', { ...outbound, ...proxy }), 'pass');
  assert.equal(verdictOf(rules, 'nat', toSelf), 'pass');
  assert.equal(verdictOf(rules, 'nat', outbound), 'REDIRECT 15001');
});

test('the probe at 127.0.0.6:15002 is redirected to the inbound port', () => {
  assert.equal(
    verdictOf(rulesOf({}), 'nat', { ...toSelf, ...proxy, destination: '127.0.0.6', source: '127.0.0.1', port: 15002 }),
    'REDIRECT 15006',
  );
});

test('a loopback range among the included ones drops rule 3b, in both families', () => {
  for (const family of ['ipv4', 'ipv6'] as const) {
    const rules = rulesOf({ istioServiceCidr: '127.1.2.3/32' }, {}, family);
    assert.ok(!chainOf('nat', 'ISTIO_OUTPUT', rules).some((spec) => spec.includes('-o lo -m owner !')));
  }
});

test('a wider loopback range is used throughout IPv4, and not in IPv6', () => {
  const environment = { ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: '127.0.0.0/8' };
  assert.equal(verdictOf(rulesOf({}, environment), 'nat', { ...toSelf, ...proxy, destination: '127.0.0.9' }), 'pass');
  assert.ok(!JSON.stringify(rulesOf({}, environment, 'ipv6')).includes('127.0.0.'));
});

test('TPROXY: the final order of ISTIO_INBOUND in mangle', () => {
  assert.deepEqual(chainOf('mangle', 'ISTIO_INBOUND', rulesOf({ istioInboundInterceptionMode: 'TPROXY' })), [
    '-p tcp -m mark --mark 1337 -j RETURN',
    '-p tcp -s 127.0.0.6/32 -i lo -j RETURN',
    '-p tcp -i lo -m mark ! --mark 1338 -j RETURN',
    '-p tcp --dport 15090 -j RETURN',
    '-p tcp --dport 15021 -j RETURN',
    '-p tcp --dport 15020 -j RETURN',
    '-p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT',
    '-p tcp -j ISTIO_TPROXY',
  ]);
});

test('TPROXY: marks are set, saved and restored; nat keeps the tunnel rule without a jump to it', () => {
  const rules = rulesOf({ istioInboundInterceptionMode: 'TPROXY' });
  assert.equal(verdictOf(rules, 'mangle', inbound), 'TPROXY 15006');
  assert.equal(verdictOf(rules, 'mangle', { ...inbound, state: 'ESTABLISHED' }), 'pass 1337');
  assert.equal(verdictOf(rules, 'mangle', { ...inbound, interface: 'lo' }), 'pass');
  assert.equal(verdictOf(rules, 'mangle', { ...inbound, interface: 'lo', mark: 1338 }), 'TPROXY 15006');
  assert.equal(verdictOf(rules, 'mangle', { ...toSelf, ...proxy }), 'pass 1338');
  assert.equal(verdictOf(rules, 'mangle', { ...outbound, connmark: 1337 }), 'pass 1337');
  assert.deepEqual(chainOf('nat', 'PREROUTING', rules), []);
  assert.deepEqual(chainOf('nat', 'ISTIO_INBOUND', rules), ['-p tcp --dport 15008 -j RETURN']);
  assert.deepEqual(rules.routing, ['rule', 'route']);
});

test('IPv6 has the same rules with its own loopback, and asks for the address ::6', () => {
  const rules = rulesOf({}, {}, 'ipv6');
  assert.ok(chainOf('nat', 'ISTIO_OUTPUT', rules).includes('-o lo -s ::6/128 -j RETURN'));
  assert.ok(chainOf('nat', 'ISTIO_OUTPUT', rules).includes('-d ::1/128 -j RETURN'));
  assert.deepEqual(rules.routing, ['address']);
});
