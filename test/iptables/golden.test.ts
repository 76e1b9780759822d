// The rules of many configurations, compared whole with files; UPDATE_GOLDEN=1 writes them anew.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { Family } from '../../src/iptables/cidr.ts';
import { defaultFlags, type IptablesFlags, parseIptablesConfig } from '../../src/iptables/config.ts';
import { printRules } from '../../src/iptables/print.ts';

const folder = path.join(import.meta.dirname, '..', 'golden', 'iptables');

interface Case {
  readonly flags: Partial<IptablesFlags>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly families?: readonly Family[];
}

const dual: readonly Family[] = ['ipv4', 'ipv6'];
/** Istio's program without flags captures nothing: its defaults come from the injector. */
const bare = { istioServiceCidr: '', istioInboundPorts: '', istioLocalExcludePorts: '' };
const istio = { ...bare, iptables: 'istio' };
const virtual = { kubeVirtInterfaces: 'eth1,eth2' };
const everything: Partial<IptablesFlags> = {
  proxyUid: '3,4',
  proxyGid: '1,2',
  istioServiceCidr: '10.0.0.0/8,2001:db8::/32,127.1.2.3/32',
  istioServiceExcludeCidr: '10.1.0.0/16,2001:db8:1::/48',
  istioOutboundPorts: '32000,31000',
  istioLocalOutboundPortsExclude: '3306,5432',
  istioLocalExcludePorts: '15090,15021,15020,22',
  istioExcludeInterfaces: 'eth5,net+',
  kubeVirtInterfaces: 'docker0',
};

const cases: Readonly<Record<string, Case>> = {
  'tracecar-default': { flags: {} },
  'tracecar-dual-stack': { flags: {}, families: dual },
  'tracecar-tproxy': { flags: { capture: 'tproxy' }, families: dual },
  'tracecar-tproxy-ports': { flags: { capture: 'tproxy', istioInboundPorts: '8080,9090', dropInvalid: true } },
  'tracecar-nothing': { flags: bare },
  'tracecar-inbound-only': { flags: { istioServiceCidr: '' } },
  'tracecar-outbound-only': { flags: { istioInboundPorts: '' } },
  'tracecar-ports': { flags: { envoyPort: '16001', inboundCapturePort: '16006', istioInboundPorts: '8080,9090' } },
  'tracecar-everything': { flags: everything, families: dual },
  'tracecar-everything-tproxy': { flags: { ...everything, istioInboundInterceptionMode: 'TPROXY' }, families: dual },
  'tracecar-owner-groups': { flags: {}, environment: { ISTIO_OUTBOUND_OWNER_GROUPS: 'java,202' } },
  'tracecar-owner-groups-exclude': { flags: {}, environment: { ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: '888,ftp' } },
  'tracecar-legacy': { flags: { forceIptablesBinary: 'legacy' }, families: dual },
  'istio-injected': { flags: { iptables: 'istio' } },
  'istio-injected-dual-stack': { flags: { iptables: 'istio' }, families: dual },
  'istio-empty': { flags: istio },
  'istio-inbound-ports-include': { flags: { ...istio, istioInboundPorts: '32000,31000' } },
  'istio-inbound-ports-wildcard': { flags: { ...istio, istioInboundPorts: '*' } },
  'istio-inbound-ports-tproxy': {
    flags: { ...istio, istioInboundPorts: '32000,31000', istioInboundInterceptionMode: 'TPROXY' },
  },
  'istio-tproxy': {
    flags: {
      ...istio,
      istioInboundInterceptionMode: 'TPROXY',
      istioInboundPorts: '*',
      istioServiceExcludeCidr: '1.1.0.0/16',
      istioServiceCidr: '9.9.0.0/16',
      istioExcludeInterfaces: 'not-istio-nic',
    },
    families: dual,
  },
  'istio-ipnets': { flags: { ...istio, istioServiceCidr: '10.0.0.0/8' } },
  'istio-kube-virt-interfaces': { flags: { ...istio, ...virtual, istioServiceCidr: '*' } },
  'istio-ipnets-with-kube-virt-interfaces': { flags: { ...istio, ...virtual, istioServiceCidr: '10.0.0.0/8' } },
  'istio-ip-range': {
    flags: {
      ...istio,
      proxyUid: '3,4',
      proxyGid: '1,2',
      istioServiceCidr: '9.9.0.0/16',
      istioServiceExcludeCidr: '1.1.0.0/16',
    },
  },
  'istio-loopback-outbound-iprange': {
    flags: { ...istio, proxyUid: '3,4', proxyGid: '1,2', istioServiceCidr: '127.1.2.3/32' },
  },
  'istio-host-ipv4-loopback-cidr': {
    flags: istio,
    environment: { ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR: '127.0.0.1/8' },
  },
  'istio-outbound-ports-include': { flags: { ...istio, istioOutboundPorts: '32000,31000' } },
  'istio-outbound-ports-exclude': { flags: { ...istio, istioLocalOutboundPortsExclude: '53,3306' } },
  'istio-outbound-owner-groups': { flags: istio, environment: { ISTIO_OUTBOUND_OWNER_GROUPS: 'java,202' } },
  'istio-outbound-owner-groups-exclude': {
    flags: istio,
    environment: { ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: '888,ftp' },
  },
  'istio-basic-exclude-nic': { flags: { ...istio, istioExcludeInterfaces: 'not-istio-nic' } },
  'istio-drop-invalid': { flags: istio, environment: { INVALID_DROP: 'true' } },
  'istio-ipv6-uid-gid': {
    flags: {
      ...istio,
      proxyUid: '3,4',
      proxyGid: '1,2',
      istioInboundPorts: '4000,5000',
      istioLocalExcludePorts: '6000,7000,',
      kubeVirtInterfaces: 'eth0,eth1',
      istioServiceCidr: '2001:db8::/32',
      istioServiceExcludeCidr: '2001:db8::/32',
    },
    families: dual,
  },
};

for (const [name, { flags, environment, families }] of Object.entries(cases)) {
  test(`${name}: the printed rules are those of the file`, () => {
    const config = parseIptablesConfig({ ...defaultFlags, ...flags }, environment);
    const printed = printRules(config, families ?? ['ipv4']);
    const file = path.join(folder, `${name}.txt`);
    if (process.env.UPDATE_GOLDEN === '1') {
      mkdirSync(folder, { recursive: true });
      writeFileSync(file, printed);
    }
    assert.equal(printed, readFileSync(file, 'utf8'));
  });
}

test('every file belongs to a case', () => {
  const files = readdirSync(folder).map((file) => file.replace(/\.txt$/, ''));
  assert.deepEqual(files.sort(), Object.keys(cases).sort());
});
