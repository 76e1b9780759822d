// Which directions and address families the rules lead to the sidecar, found out by probes and kept for some seconds.
import { networkInterfaces } from 'node:os';
import type { CaptureConfig, Direction } from '../config.ts';
import { askProbe } from './ask-probe.ts';
import { type Family, families, probeTarget } from './probe-targets.ts';

/** Directions with their families: `inbound ipv4`. */
export interface CaptureReport {
  readonly captured: readonly string[];
  /** The machine has addresses of the family, and the rules are not there. */
  readonly not_captured: readonly string[];
  /** Istio's rules have nothing by which it can be seen. */
  readonly unknown: readonly string[];
}

type Probe = typeof askProbe;

const directions: readonly Direction[] = ['inbound', 'outbound'];
const lifetimeMs = 5_000;
/** A question that takes longer is answered by what was known before. */
const patienceMs = 300;

export class CaptureStatus {
  /** Called with each of the sidecar's own connections that the rules led back to it. */
  onOwnCaptured: () => void = () => {};
  /** The command that puts right what is missing. */
  readonly remedy: string;
  readonly #rules: CaptureConfig['iptables'];
  readonly #probe: Probe;
  readonly #readInterfaces: typeof networkInterfaces;
  /** By `direction family`; undefined where it cannot be seen. */
  #seen = new Map<string, boolean | undefined>();
  #expected: ReadonlySet<Family> = new Set();
  #seenAtMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;

  constructor(
    { mode, iptables }: Pick<CaptureConfig, 'mode' | 'iptables'>,
    probe: Probe = askProbe,
    readInterfaces = networkInterfaces,
  ) {
    this.#rules = iptables;
    const flags = [iptables === 'istio' ? ' --iptables istio' : '', mode === 'tproxy' ? ' --capture tproxy' : ''];
    this.remedy = `tracecar iptables apply${flags.join('')}`;
    this.#probe = probe;
    this.#readInterfaces = readInterfaces;
  }

  /** What was seen last. */
  get last(): CaptureReport {
    const found = (wanted: boolean | undefined) =>
      directions.flatMap((direction) =>
        families
          .filter((family) => wanted || this.#expected.has(family))
          .map((family) => `${direction} ${family}`)
          .filter((key) => this.#seen.has(key) && this.#seen.get(key) === wanted),
      );
    return { captured: found(true), not_captured: found(false), unknown: found(undefined) };
  }

  /** What was seen within the last seconds: probed anew when that is longer ago. */
  async report(): Promise<CaptureReport> {
    if (performance.now() - this.#seenAtMs >= lifetimeMs) {
      const late = new Promise<void>((resolve) => setTimeout(resolve, patienceMs).unref());
      await Promise.race([this.refresh(), late]);
    }
    return this.last;
  }

  /** Probes everything now. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #look(): Promise<void> {
    const entries = await Promise.all(
      directions.flatMap((direction) =>
        families.map(async (family): Promise<[string, boolean | undefined]> => {
          const target = probeTarget(this.#rules, direction, family);
          const key = `${direction} ${family}`;
          // Where nobody had time to answer it stays as it was.
          return [key, target && ((await this.#probe(target, direction)) ?? this.#seen.get(key))];
        }),
      ),
    );
    this.#seen = new Map(entries);
    this.#expected = familiesOf(this.#readInterfaces());
    this.#seenAtMs = performance.now();
  }
}

/** The families in which others can reach this machine or be reached; a link-local address alone is none. */
function familiesOf(interfaces: ReturnType<typeof networkInterfaces>): Set<Family> {
  const found = new Set<Family>();
  for (const { family, address, internal } of Object.values(interfaces).flatMap((addresses) => addresses ?? [])) {
    if (internal || /^fe[89ab]/i.test(address)) continue;
    found.add(family === 'IPv4' ? 'ipv4' : 'ipv6');
  }
  return found.size > 0 ? found : new Set(['ipv4']);
}

/** One line each, those that have something to say: `captured: inbound ipv4 ipv6, outbound ipv4`. */
export function reportLines(report: CaptureReport): string[] {
  return [
    ['captured', report.captured] as const,
    ['not captured', report.not_captured] as const,
    ['unknown', report.unknown] as const,
  ]
    .filter(([, entries]) => entries.length > 0)
    .map(([title, entries]) => `${title}: ${grouped(entries)}`);
}

function grouped(entries: readonly string[]): string {
  return directions
    .map((direction) => [direction, entries.filter((entry) => entry.startsWith(direction))] as const)
    .filter(([, own]) => own.length > 0)
    .map(([direction, own]) => [direction, ...own.map((entry) => entry.slice(direction.length + 1))].join(' '))
    .join(', ');
}
