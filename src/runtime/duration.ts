// Durations as Envoy, Istio and the Collector write them: 250ms, 10s, 5m, 1h30m.
import { UsageError } from './usage-error.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Parses a Go-style duration (`1h30m`, `10s`, `250ms`; a bare `0` too) to milliseconds.
 * @throws UsageError naming `what` when it is not one
 */
export function parseDurationMs(text: string, what: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) {
    throw new UsageError(`${what}: "${text}" is not a duration; write for example 250ms, 10s or 5m`);
  }
  return parts.reduce((sum, part) => sum + Number(part[1]) * (unitMs[part[2]!] ?? 0), 0);
}
