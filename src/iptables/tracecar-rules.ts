// Our own capture rules: everything in chains of ours, with one jump from each built-in chain that is needed.
import { capturedInbound } from './captured-ports.ts';
import type { Cidr, Family } from './cidr.ts';
import { isLoopback } from './cidr.ts';
import type { IptablesConfig } from './config.ts';
import { type FamilyRules, TableBuilder, type TableRules, tproxyMark } from './rules.ts';

/** Ports of the loopback address that answer the question whether the rules are in force. */
export const inboundProbePort = 15002;
export const outboundProbePort = 15003;

const chains = {
  inbound: 'TRACECAR_INBOUND',
  inboundRedirect: 'TRACECAR_IN_REDIRECT',
  output: 'TRACECAR_OUTPUT',
  redirect: 'TRACECAR_REDIRECT',
  divert: 'TRACECAR_DIVERT',
  tproxy: 'TRACECAR_TPROXY',
  drop: 'TRACECAR_DROP',
} as const;

const loopback: Readonly<Record<Family, string>> = { ipv4: '127.0.0.1/32', ipv6: '::1/128' };

/** The rules of one family: nat always, mangle and the policy route for TPROXY. */
export function tracecarRules(config: IptablesConfig, family: Family): FamilyRules {
  const isTransparent = config.mode === 'TPROXY';
  return {
    family,
    tables: [...mangleTable(config, family), ...natTable(config, family)],
    routing: isTransparent ? ['rule', 'route'] : [],
  };
}

function natTable(config: IptablesConfig, family: Family): TableRules[] {
  const nat = new TableBuilder('nat');
  nat.append(chains.redirect, `-p tcp -j REDIRECT --to-ports ${config.outboundPort}`);
  nat.append(chains.inboundRedirect, `-p tcp -j REDIRECT --to-ports ${config.inboundPort}`);
  const hasInbound = config.mode === 'REDIRECT' && config.inboundPorts.length > 0;
  if (hasInbound || config.virtualInterfaces.length > 0) {
    nat.append(chains.inbound, ...excludedInterfaces(config, '-i'), ...virtualInterfaces(config, family));
    if (hasInbound) nat.append(chains.inbound, ...capturedInbound(config, [`-j ${chains.inboundRedirect}`]));
    nat.append('PREROUTING', `-p tcp -j ${chains.inbound}`);
  }
  nat.append(chains.output, ...outboundRules(config, family));
  nat.append('OUTPUT', `-p tcp -j ${chains.output}`);
  return nat.build();
}

function outboundRules(config: IptablesConfig, family: Family): string[] {
  const redirect = `-j ${chains.redirect}`;
  const included = config.outboundCidrs === '*' ? [] : ofFamily(config.outboundCidrs, family);
  const probe = (port: number) => `-d ${loopback[family]} -p tcp --dport ${port}`;
  return [
    // Before anything that spares the sidecar: it asks as itself. In mangle the inbound one is met before.
    ...(config.mode === 'REDIRECT' ? [`${probe(inboundProbePort)} -j ${chains.inboundRedirect}`] : []),
    `${probe(outboundProbePort)} ${redirect}`,
    // What the sidecar sends, on any leg, goes where it is addressed to: no loop, and no source address to choose.
    ...config.proxyUids.map((uid) => `-m owner --uid-owner ${uid} -j RETURN`),
    ...config.proxyGids.map((gid) => `-m owner --gid-owner ${gid} -j RETURN`),
    ...ownerGroups(config),
    ...excludedInterfaces(config, '-o'),
    ...config.excludedOutboundPorts.map((port) => `-p tcp --dport ${port} -j RETURN`),
    ...ofFamily(config.excludedOutboundCidrs, family).map((cidr) => `-d ${cidr.text} -j RETURN`),
    ...included.filter(isLoopback).map((cidr) => `-d ${cidr.text} -p tcp ${redirect}`),
    // Loopback, and the pod's own addresses, which are reached over it: the application talking to itself.
    '-o lo -j RETURN',
    ...config.outboundPorts.map((port) => `-p tcp --dport ${port} ${redirect}`),
    ...(config.outboundCidrs === '*' ? [`-p tcp ${redirect}`] : []),
    ...included.filter((cidr) => !isLoopback(cidr)).map((cidr) => `-d ${cidr.text} -p tcp ${redirect}`),
  ];
}

/** Groups whose traffic is captured (all others pass), or all but these. */
function ownerGroups({ ownerGroups: groups, excludedOwnerGroups }: IptablesConfig): string[] {
  if (groups === '*') return excludedOwnerGroups.map((group) => `-m owner --gid-owner ${group} -j RETURN`);
  return [[...groups.map((group) => `-m owner ! --gid-owner ${group}`), '-j RETURN'].join(' ')];
}

function excludedInterfaces(config: IptablesConfig, direction: '-i' | '-o'): string[] {
  return config.excludedInterfaces.map((name) => `${direction} ${name} -j RETURN`);
}

/** Connections out of a machine behind a bridge in this namespace are its outbound ones. */
function virtualInterfaces(config: IptablesConfig, family: Family): string[] {
  const destinations =
    config.outboundCidrs === '*' ? [''] : ofFamily(config.outboundCidrs, family).map(({ text }) => `-d ${text} `);
  return config.virtualInterfaces.flatMap((name) => [
    ...destinations.map((destination) => `${destination}-i ${name} -p tcp -j ${chains.redirect}`),
    `-i ${name} -j RETURN`,
  ]);
}

function mangleTable(config: IptablesConfig, family: Family): TableRules[] {
  const mangle = new TableBuilder('mangle');
  if (config.dropInvalid) {
    mangle.append(chains.drop, '-j DROP');
    mangle.append('PREROUTING', `-m conntrack --ctstate INVALID -j ${chains.drop}`);
  }
  if (config.mode === 'TPROXY') transparentRules(mangle, config, family);
  return mangle.build();
}

function transparentRules(mangle: TableBuilder, config: IptablesConfig, family: Family): void {
  const mark = `--mark ${tproxyMark}`;
  const tproxy = `-j TPROXY --on-port ${config.inboundPort} --tproxy-mark ${tproxyMark}/0xffffffff`;
  mangle.append(chains.divert, `-j MARK --set-mark ${tproxyMark}`, '-j ACCEPT');
  mangle.append(chains.tproxy, `! -d ${loopback[family]} -p tcp ${tproxy}`);
  mangle.append(
    chains.inbound,
    `-i lo -d ${loopback[family]} -p tcp --dport ${inboundProbePort} ${tproxy}`,
    // Between the sidecar and its application; and the application talking to itself.
    `-p tcp -m mark ${mark} -j RETURN`,
    '-i lo -j RETURN',
    ...excludedInterfaces(config, '-i'),
    ...config.virtualInterfaces.map((name) => `-i ${name} -j RETURN`),
    ...capturedInbound(config, [
      // TPROXY drops packets of connections that are not the sidecar's: those that were there before it.
      `-m conntrack --ctstate RELATED,ESTABLISHED -j ${chains.divert}`,
      `-j ${chains.tproxy}`,
    ]),
  );
  mangle.append('PREROUTING', `-p tcp -j ${chains.inbound}`);
  // The sidecar connects to the application from the client's address; the answers to it must come back here.
  mangle.append(
    chains.output,
    `-p tcp -m mark ${mark} -j CONNMARK --save-mark`,
    `-p tcp -m mark ${mark} -j RETURN`,
    `-p tcp -m connmark ${mark} -j CONNMARK --restore-mark`,
  );
  mangle.append('OUTPUT', `-p tcp -j ${chains.output}`);
}

function ofFamily(cidrs: readonly Cidr[], family: Family): Cidr[] {
  return cidrs.filter((cidr) => cidr.family === family);
}
