// The destinations by which capture shows itself: the rules lead them to the sidecar, which answers instead of joining them.
import type { CaptureConfig, Direction } from '../config.ts';

export type Family = 'ipv4' | 'ipv6';

export const families: readonly Family[] = ['ipv4', 'ipv6'];

/** Of our own rules: loopback, which they leave alone otherwise. */
const ports: Readonly<Record<Direction, number>> = { inbound: 15002, outbound: 15003 };
const loopback: Readonly<Record<Family, string>> = { ipv4: '127.0.0.1', ipv6: '::1' };
/**
 * Of Istio's: what their own validation dials. They lead traffic of the sidecar's user to any local address but loopback
 * to the inbound port; nothing of the sidecar's goes to the outbound one.
 */
const istio: Readonly<Record<Family, string>> = { ipv4: '127.0.0.6', ipv6: '::6' };

const hosts = new Set([...Object.values(loopback), ...Object.values(istio)]);

/** Whether a captured connection is such a probe. */
export function isProbe(host: string, port: number): boolean {
  return (port === ports.inbound || port === ports.outbound) && hosts.has(host);
}

export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  /** The source: what comes from Istio's addresses is left alone, and to ::6 the system would take ::6 itself. */
  readonly localAddress: string;
}

/** Where to connect to see whether a direction is captured; undefined when that cannot be seen. */
export function probeTarget(
  rules: CaptureConfig['iptables'],
  direction: Direction,
  family: Family,
): ProbeTarget | undefined {
  const localAddress = loopback[family];
  if (rules === 'tracecar') return { host: localAddress, port: ports[direction], localAddress };
  return direction === 'inbound' ? { host: istio[family], port: ports.inbound, localAddress } : undefined;
}

/** What the sidecar answers such a connection: the direction it came by. */
export function probeAnswer(direction: Direction): string {
  return `tracecar ${direction}\n`;
}
