// What a sidecar's admin pages tell of capture, and of the protocols that came on its connections.
import type { Family } from './saved-rules.ts';

export type Direction = 'inbound' | 'outbound';
/** A direction in one family: `inbound ipv4`. */
export type Leg = `${Direction} ${Family}`;

/** The state of `--capture redirect` or `tproxy`. */
export interface ObservedCapture {
  readonly mode: string;
  /** Whose rules the sidecar was told of. */
  readonly iptables: string;
  readonly captured: readonly Leg[];
  readonly notCaptured: readonly Leg[];
  readonly unknown: readonly Leg[];
  /** Where rules have to lead connections. */
  readonly inboundPort: number;
  readonly outboundPort: number;
}

/** One open connection, as far as it tells of a port's protocol. */
export interface ObservedConnection {
  readonly direction: Direction;
  readonly host: string;
  readonly port: number;
  readonly protocol: string;
  /** Why it is not read any more, '' when it is. */
  readonly degraded: string;
}

const directions: readonly Direction[] = ['inbound', 'outbound'];
const families: readonly Family[] = ['ipv4', 'ipv6'];

/**
 * The state of capture by the settings (`/config_dump`) and the readiness page, whose lines are
 * `captured: inbound ipv4 ipv6, outbound ipv4`, and so for `not captured` and `unknown`.
 * @returns undefined when nothing is captured by rules
 */
export function toCapture(setting: (key: string) => unknown, readyPage: string): ObservedCapture | undefined {
  const mode = String(setting('capture') ?? 'none');
  if (mode === 'none') return undefined;
  return {
    mode,
    iptables: String(setting('iptables') ?? 'tracecar'),
    captured: legsOf(readyPage, 'captured'),
    notCaptured: legsOf(readyPage, 'not captured'),
    unknown: legsOf(readyPage, 'unknown'),
    inboundPort: portOf(setting('inbound-capture-port')) ?? 15006,
    outboundPort: portOf(setting('outbound-capture-port')) ?? 15001,
  };
}

/** The open connections of the connections page. */
export function toConnections(page: unknown): ObservedConnection[] {
  const listed = field(page, 'connections');
  if (!Array.isArray(listed)) return [];
  return listed.flatMap((entry: unknown) => {
    const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(String(field(entry, 'target') ?? '')) ?? [];
    const direction = directions.find((known) => known === field(entry, 'direction'));
    if (direction === undefined || port === '') return [];
    const protocol = String(field(entry, 'protocol') ?? 'unknown');
    return [{ direction, host, port: Number(port), protocol, degraded: String(field(entry, 'degraded') ?? '') }];
  });
}

function legsOf(page: string, title: string): Leg[] {
  const line = page.split('\n').find((text) => text.startsWith(`${title}: `)) ?? '';
  return line
    .slice(title.length + 2)
    .split(', ')
    .flatMap((group) => {
      const words = group.split(' ');
      const direction = directions.find((known) => known === words[0]);
      if (direction === undefined) return [];
      return families.filter((family) => words.includes(family)).map((family): Leg => `${direction} ${family}`);
    });
}

/** The port of the first address in a list of `HOST:PORT`. */
function portOf(addresses: unknown): number | undefined {
  const first: unknown = Array.isArray(addresses) ? addresses[0] : addresses;
  const [, port] = /(\d+)$/.exec(String(first ?? '')) ?? [];
  return port === undefined ? undefined : Number(port);
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}
