// What an exporter logs: one line when a trouble begins and one when it ends, not one per attempt or span.
import type { PartialSuccess } from '../../formats/otlp/response.ts';
import type { ExportOutcome } from '../../runtime/export/outcome.ts';
import type { Log } from '../../runtime/log.ts';

/** A backend that takes every other request would begin and end an episode each time: at most one line in so long. */
const quietMs = 10_000;

export class EpisodeLog {
  private readonly log: Log;
  private readonly nowMs: () => number;
  private isFailing = false;
  private isWarned = false;
  private isQueueFull = false;
  private nextFailureMs = Number.NEGATIVE_INFINITY;
  private nextRefusalMs = Number.NEGATIVE_INFINITY;

  constructor(exporter: string, log: Log, nowMs = () => performance.now()) {
    this.log = log.child({ exporter });
    this.nowMs = nowMs;
  }

  /** After each attempt. */
  outcome(outcome: ExportOutcome, queuedSpans: number): void {
    switch (outcome.kind) {
      case 'accepted':
        if (this.isFailing) this.log.info({ queuedSpans }, 'the backend takes spans again');
        this.isFailing = false;
        return;
      case 'retry':
        if (this.isFailing || this.nowMs() < this.nextFailureMs) return;
        this.isFailing = true;
        this.nextFailureMs = this.nowMs() + quietMs;
        this.log.warn({ reason: outcome.reason, queuedSpans }, 'the backend does not take spans now');
        return;
      case 'rejected':
        if (this.nowMs() < this.nextRefusalMs) return;
        this.nextRefusalMs = this.nowMs() + quietMs;
        this.log.warn({ reason: outcome.reason }, 'the backend refuses spans');
    }
  }

  /** After each accepted request. */
  partialSuccess({ rejectedSpans, errorMessage: message }: PartialSuccess): void {
    const isWarning = rejectedSpans > 0 || message !== '';
    if (isWarning && !this.isWarned) this.log.warn({ rejectedSpans, message }, 'the backend did not take everything');
    this.isWarned = isWarning;
  }

  /** After each offer to the queue. The episode ends when it is half empty: at the brink it would end every moment. */
  queue(isTaken: boolean, queuedBytes: number, capacityBytes: number): void {
    if (!isTaken && !this.isQueueFull) {
      this.isQueueFull = true;
      this.log.warn({ queuedBytes, capacityBytes }, 'the queue is full; new spans are dropped and counted');
    } else if (isTaken && this.isQueueFull && queuedBytes < capacityBytes / 2) {
      this.isQueueFull = false;
      this.log.info({ queuedBytes, capacityBytes }, 'the queue has room again');
    }
  }

  fault(error: string): void {
    this.log.error({ error }, 'delivery of a batch failed by a fault of ours');
  }
}
