// Istio's chains to the letter (istio/istio, tools/istio-iptables): for meshes and tools that look for them.
import { capturedInbound } from './captured-ports.ts';
import { type Cidr, type Family, isLoopback } from './cidr.ts';
import type { IptablesConfig } from './config.ts';
import { type FamilyRules, TableBuilder, type TableRules, tproxyMark } from './rules.ts';

/** The HBONE tunnel's port, which reaches the proxy directly. */
const tunnelPort = 15008;

/** Mark of what the proxy sends to its own pod's address: the pod called itself by its service's. */
const ownPodMark = 1338;

/** Where the proxy's inbound leg comes from. */
const passthroughSource: Readonly<Record<Family, string>> = { ipv4: '127.0.0.6/32', ipv6: '::6/128' };

/** The rules of one family. IPv6 needs `::6` on lo: of IPv6's loopback only `::1` is there by itself. */
export function istioRules(config: IptablesConfig, family: Family): FamilyRules {
  const isTransparent = config.mode === 'TPROXY';
  return {
    family,
    tables: [...mangleTable(config, family), ...natTable(config, family)],
    routing: [
      ...(isTransparent ? (['rule', 'route'] as const) : []),
      ...(family === 'ipv6' ? (['address'] as const) : []),
    ],
  };
}

function loopbackOf(config: IptablesConfig, family: Family): string {
  return family === 'ipv4' ? config.loopbackCidr.text : '::1/128';
}

function ofFamily(cidrs: readonly Cidr[], family: Family): Cidr[] {
  return cidrs.filter((cidr) => cidr.family === family);
}

function natTable(config: IptablesConfig, family: Family): TableRules[] {
  const nat = new TableBuilder('nat');
  excludeInterfaces(nat, config);
  for (const name of config.virtualInterfaces) nat.prepend('PREROUTING', `-i ${name} -j RETURN`);
  nat.append('ISTIO_INBOUND', `-p tcp --dport ${tunnelPort} -j RETURN`);
  nat.append('ISTIO_REDIRECT', `-p tcp -j REDIRECT --to-ports ${config.outboundPort}`);
  nat.append('ISTIO_IN_REDIRECT', `-p tcp -j REDIRECT --to-ports ${config.inboundPort}`);
  if (config.mode === 'REDIRECT' && config.inboundPorts.length > 0) {
    nat.append('PREROUTING', '-p tcp -j ISTIO_INBOUND');
    nat.append('ISTIO_INBOUND', ...capturedInbound(config, ['-j ISTIO_IN_REDIRECT']));
  }
  nat.append('OUTPUT', '-j ISTIO_OUTPUT');
  nat.append('ISTIO_OUTPUT', ...outboundRules(config, family));
  includeOutbound(nat, config, family);
  return nat.build();
}

function excludeInterfaces(table: TableBuilder, { excludedInterfaces }: IptablesConfig): void {
  for (const name of excludedInterfaces) {
    table.append('PREROUTING', `-i ${name} -j RETURN`);
    table.append('OUTPUT', `-o ${name} -j RETURN`);
  }
}

function outboundRules(config: IptablesConfig, family: Family): string[] {
  const loopback = loopbackOf(config, family);
  return [
    ...config.excludedOutboundPorts.flatMap((port) => [
      `-p tcp --dport ${port} -j RETURN`,
      `-p udp --dport ${port} -j RETURN`,
    ]),
    `-o lo -s ${passthroughSource[family]} -j RETURN`,
    ...config.proxyUids.flatMap((uid) => ownerRules(config, loopback, `--uid-owner ${uid}`)),
    ...config.proxyGids.flatMap((gid) => ownerRules(config, loopback, `--gid-owner ${gid}`)),
    ...ownerGroups(config),
    `-d ${loopback} -j RETURN`,
    ...ofFamily(config.excludedOutboundCidrs, family).map((cidr) => `-d ${cidr.text} -j RETURN`),
    ...config.outboundPorts.map((port) => `-p tcp --dport ${port} -j ISTIO_REDIRECT`),
  ];
}

/** For one user or group of the proxy: the pod calling itself, the application talking to itself, and no loops. */
function ownerRules(config: IptablesConfig, loopback: string, owner: string): string[] {
  const includesLoopback = config.outboundCidrs !== '*' && config.outboundCidrs.some(isLoopback);
  return [
    `-o lo ! -d ${loopback} -p tcp ! --dport ${tunnelPort} -m owner ${owner} -j ISTIO_IN_REDIRECT`,
    ...(includesLoopback ? [] : [`-o lo -m owner ! ${owner} -j RETURN`]),
    `-m owner ${owner} -j RETURN`,
  ];
}

function ownerGroups({ ownerGroups: groups, excludedOwnerGroups }: IptablesConfig): string[] {
  if (groups === '*') return excludedOwnerGroups.map((group) => `-m owner --gid-owner ${group} -j RETURN`);
  return [[...groups.map((group) => `-m owner ! --gid-owner ${group}`), '-j RETURN'].join(' ')];
}

function includeOutbound(nat: TableBuilder, config: IptablesConfig, family: Family): void {
  const destinations =
    config.outboundCidrs === '*' ? [''] : ofFamily(config.outboundCidrs, family).map(({ text }) => `-d ${text} `);
  for (const destination of destinations) {
    for (const name of config.virtualInterfaces) {
      nat.prepend('PREROUTING', `-i ${name} ${destination}-j ISTIO_REDIRECT`);
    }
    nat.append('ISTIO_OUTPUT', `${destination}-j ISTIO_REDIRECT`);
  }
}

function mangleTable(config: IptablesConfig, family: Family): TableRules[] {
  const mangle = new TableBuilder('mangle');
  if (config.mode === 'TPROXY') excludeInterfaces(mangle, config);
  if (config.dropInvalid) {
    mangle.append('PREROUTING', '-m conntrack --ctstate INVALID -j ISTIO_DROP');
    mangle.append('ISTIO_DROP', '-j DROP');
  }
  if (config.mode === 'TPROXY') transparentRules(mangle, config, family);
  return mangle.build();
}

function transparentRules(mangle: TableBuilder, config: IptablesConfig, family: Family): void {
  const loopback = loopbackOf(config, family);
  const mark = `--mark ${tproxyMark}`;
  const hasInbound = config.inboundPorts.length > 0;
  if (hasInbound) {
    mangle.append('ISTIO_DIVERT', `-j MARK --set-mark ${tproxyMark}`, '-j ACCEPT');
    const tproxy = `-j TPROXY --tproxy-mark ${tproxyMark}/0xffffffff --on-port ${config.inboundPort}`;
    mangle.append('ISTIO_TPROXY', `! -d ${loopback} -p tcp ${tproxy}`);
    mangle.append('PREROUTING', '-p tcp -j ISTIO_INBOUND');
  }
  mangle.append(
    'ISTIO_INBOUND',
    `-p tcp -m mark ${mark} -j RETURN`,
    `-p tcp -s ${passthroughSource[family]} -i lo -j RETURN`,
    `-p tcp -i lo -m mark ! --mark ${ownPodMark} -j RETURN`,
    ...capturedInbound(config, [
      '-m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT',
      '-j ISTIO_TPROXY',
    ]).filter(() => hasInbound),
  );
  mangle.append('PREROUTING', `-p tcp -m mark ${mark} -j CONNMARK --save-mark`);
  const owners = [
    ...config.proxyUids.map((uid) => `--uid-owner ${uid}`),
    ...config.proxyGids.map((gid) => `--gid-owner ${gid}`),
  ];
  mangle.append(
    'OUTPUT',
    `-p tcp -o lo -m mark ${mark} -j RETURN`,
    ...owners.map((owner) => `! -d ${loopback} -p tcp -o lo -m owner ${owner} -j MARK --set-mark ${ownPodMark}`),
    `-p tcp -m connmark ${mark} -j CONNMARK --restore-mark`,
  );
}
