// What the pipeline fans out to: a backend's exporter or an embedded sink, each with its own account of spans.
import type { CountedRequest } from '../formats/otlp/split.ts';

export type DropReason =
  /** The destination's queue had no room. */
  | 'queue_full'
  /** The backend refused for good, down to the single span (or everything: no permission, no such path). */
  | 'refused'
  /** The backend took the request but said in its partial success that it did not take so many spans. */
  | 'backend_rejected'
  /** Not delivered within the time for retries. */
  | 'retries_exhausted'
  /** One span alone is longer than the backend's requests may be. */
  | 'too_large'
  /** Still undelivered at the end of the drain. */
  | 'shutdown'
  /** The sink threw. */
  | 'sink_error'
  /** A fault of ours. */
  | 'internal_error';

/** At any time: accepted = sent + every drop + queued. */
export class DestinationStats {
  accepted = 0;
  sent = 0;
  readonly dropped = new Map<DropReason, number>();

  drop(reason: DropReason, spans: number): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + spans);
  }
}

export interface Destination {
  /** As in metrics and logs: `jaeger`, `zipkin/2`, `store`. */
  readonly name: string;
  readonly stats: DestinationStats;
  /** Spans waiting or being sent. */
  readonly queuedSpans: number;
  /** Bytes waiting or being sent; 0 where nothing queues. */
  readonly queuedBytes: number;
  readonly capacityBytes: number;
  /** Takes a valid request or drops and counts it; never throws, never waits. */
  accept(request: CountedRequest): void;
  /** Delivers what is queued until the deadline, then drops the rest; the destination is closed afterwards. */
  drain(deadlineMs: number): Promise<void>;
}
