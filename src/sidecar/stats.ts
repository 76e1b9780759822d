// The sidecar's counters: plain numbers on the path of a request, read by Prometheus only when it asks.
import { type SamplingDecision, samplingReasons } from '../trace/sampling.ts';
import type { Direction } from './config.ts';

export type Protocol = 'unknown' | 'http1' | 'http2' | 'tls' | 'postgresql' | 'opaque';

/** Upper bounds in seconds, those of the OpenTelemetry HTTP conventions, with two finer ones in front. */
export const durationBucketsSeconds = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
] as const;

const maxStatus = 1000;

/** Adds one to a named counter. */
export function bump(counters: Map<string, number>, key: string, by = 1): void {
  counters.set(key, (counters.get(key) ?? 0) + by);
}

/** What is counted per direction. */
export class DirectionStats {
  /** Requests by response status; 0 is a request without a response. */
  readonly requests = new Float64Array(maxStatus);
  readonly durationBuckets = new Float64Array(durationBucketsSeconds.length + 1);
  durationSumSeconds = 0;
  /** Sampling decisions by reason, in the order of `samplingReasons`: taken and not taken. */
  readonly sampled = new Float64Array(samplingReasons.length);
  readonly notSampled = new Float64Array(samplingReasons.length);
  readonly connectFailures = new Map<string, number>();
  connectionsTotal = 0;
  /** Connections that closed without a byte from the client: no span, only this. */
  silentConnections = 0;
  /** Connections reset at accept because of `--max-connections`. */
  refusedConnections = 0;
  /** Connections reset at accept because their original destination is the sidecar itself. */
  loops = 0;
  idleTimeouts = 0;
  bytesReceived = 0;
  bytesSent = 0;

  countDecision(decision: SamplingDecision): void {
    const index = samplingReasons.indexOf(decision.reason);
    const counts = decision.sampled ? this.sampled : this.notSampled;
    counts[index]!++;
  }

  countRequest(status: number, durationMs: number): void {
    this.requests[status < maxStatus ? status : 0]!++;
    const seconds = durationMs / 1000;
    this.durationSumSeconds += seconds;
    let bucket = 0;
    while (bucket < durationBucketsSeconds.length && seconds > durationBucketsSeconds[bucket]!) bucket++;
    this.durationBuckets[bucket]!++;
  }
}

/** Everything one sidecar counts, apart from its exporter's queue. */
export class SidecarStats {
  readonly inbound = new DirectionStats();
  readonly outbound = new DirectionStats();
  /** Connections turned opaque, by reason. */
  readonly degraded = new Map<string, number>();
  /** Requests refused by `--strict`, by reason. */
  readonly refusedRequests = new Map<string, number>();
  readonly contextConflicts = new Map<string, number>();
  /** Requests whose head could not take our lines within `--max-added-head` (R10). */
  headBudget = 0;
  unsolicitedResponses = 0;

  of(direction: Direction): DirectionStats {
    return direction === 'inbound' ? this.inbound : this.outbound;
  }
}
