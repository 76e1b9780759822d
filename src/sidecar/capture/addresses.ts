// Where captured connections arrive, by the address families of this machine.
import { readFileSync } from 'node:fs';
import { type Address, formatAddress } from '../../runtime/address.ts';
import type { CaptureConfig } from '../config.ts';

const loopbackHosts = ['127.0.0.1', '::1'];
/** As the kernel writes ::1 in its list. */
const loopbackV6 = /^0{31}1 /m;

/**
 * The listening addresses of capture: inbound on every address, outbound on loopback alone, for REDIRECT in OUTPUT leads
 * there and nobody else has business with it.
 * @param v6Addresses Linux's list of this machine's IPv6 addresses, undefined where there is no IPv6
 */
export function captureAddresses(
  inboundPort: number,
  outboundPort: number,
  v6Addresses = readV6Addresses(),
): Pick<CaptureConfig, 'inbound' | 'outbound'> {
  const hosts = loopbackV6.test(v6Addresses ?? '') ? loopbackHosts : loopbackHosts.slice(0, 1);
  return {
    // A socket of IPv6 takes IPv4 as well.
    inbound: { host: v6Addresses === undefined ? '0.0.0.0' : '::', port: inboundPort },
    outbound: hosts.map((host) => ({ host, port: outboundPort })),
  };
}

function readV6Addresses(): string | undefined {
  try {
    return readFileSync('/proc/net/if_inet6', 'latin1');
  } catch {
    return undefined;
  }
}

/** Each with the flag that says so. */
export function captureListens({ inbound, outbound }: CaptureConfig): { address: Address; what: string }[] {
  return [
    { address: inbound, what: inboundWhat(inbound) },
    ...outbound.map((address) => ({ address, what: outboundWhat(address) })),
  ];
}

export function inboundWhat(address: Address): string {
  return `--inbound-capture-port ${address.port} (${formatAddress(address)})`;
}

export function outboundWhat(address: Address): string {
  return `--outbound-capture-port ${address.port} (${formatAddress(address)})`;
}

/**
 * On sockets that listen already, inbound's first. They count: what families this machine has may have changed since
 * they were bound.
 */
export function onSockets(capture: CaptureConfig, descriptors: readonly number[]): CaptureConfig {
  const [inbound, ...outbound] = descriptors;
  const { port } = capture.outbound[0]!;
  return {
    ...capture,
    inbound: { ...capture.inbound, descriptor: inbound! },
    outbound: outbound.map((descriptor, i) => ({ host: loopbackHosts[i]!, port, descriptor })),
  };
}
