// Brings one batch to one backend: sends, waits and sends again, and halves what the backend refuses for good.
import { type CountedRequest, concatRequests, splitRequest, splitToSize } from '../../formats/otlp/split.ts';
import { type BackoffOptions, backoffMs } from '../../runtime/export/backoff.ts';
import type { ExportOutcome } from '../../runtime/export/outcome.ts';
import type { DropReason } from '../destination.ts';
import type { Batch } from './sending-queue.ts';

export interface DeliveryOptions {
  /** One attempt with an OTLP request; what goes over the wire is its business. `part` is the same at every attempt. */
  readonly attempt: (request: Uint8Array, part: string) => Promise<ExportOutcome>;
  /** How many spans of an accepted request the backend says it did not take. */
  readonly countRejected: (response: Uint8Array) => number;
  readonly maxRequestBytes: number;
  readonly maxElapsedMs: number;
  readonly backoff: BackoffOptions;
  /** Waits; false when the drain's deadline ended the wait. */
  readonly sleep: (ms: number) => Promise<boolean>;
  readonly nextPart: () => string;
  readonly onOutcome: (outcome: ExportOutcome) => void;
}

/** Where a batch's spans are settled, each exactly once. */
export interface Account {
  /** Not settled yet; 0 once the batch was given up. */
  readonly left: number;
  sent(spans: number): void;
  drop(reason: DropReason, spans: number): void;
}

/** After so many refused spans in a row, with none taken between, the backend is taken to refuse everything. */
const maxRefusalsInARow = 64;

/** The delivery of one batch; a permanent refusal is followed to the single span (request, resource, scope, span). */
export class Delivery {
  private readonly options: DeliveryOptions;
  private readonly account: Account;
  private refusalsInARow = 0;

  constructor(options: DeliveryOptions, account: Account) {
    this.options = options;
    this.account = account;
  }

  async run(batch: Batch): Promise<void> {
    const whole = { bytes: concatRequests(batch.requests.map(({ bytes }) => bytes)), spans: batch.spans };
    for (const part of splitToSize(whole, this.options.maxRequestBytes)) {
      if (part.bytes.byteLength > this.options.maxRequestBytes) this.account.drop('too_large', part.spans);
      else await this.deliver(part);
    }
  }

  private async deliver(request: CountedRequest): Promise<void> {
    if (this.account.left === 0) return;
    if (this.refusalsInARow >= maxRefusalsInARow) {
      this.account.drop('refused', request.spans);
      return;
    }
    const outcome = await this.sendUntilSettled(request);
    if (outcome === undefined) return;
    if (outcome.kind === 'accepted') {
      this.refusalsInARow = 0;
      const rejected = Math.min(request.spans, this.options.countRejected(outcome.response));
      this.account.sent(request.spans - rejected);
      if (rejected > 0) this.account.drop('backend_rejected', rejected);
      return;
    }
    const halves = outcome.splittable ? splitRequest(request) : undefined;
    if (halves === undefined) {
      this.refusalsInARow++;
      this.account.drop('refused', request.spans);
      return;
    }
    for (const half of halves) await this.deliver(half);
  }

  /** The final outcome; undefined when time ran out, with the spans dropped. */
  private async sendUntilSettled(
    request: CountedRequest,
  ): Promise<Exclude<ExportOutcome, { readonly kind: 'retry' }> | undefined> {
    const { options } = this;
    const part = options.nextPart();
    const startMs = performance.now();
    for (let retry = 1; ; retry++) {
      const outcome = await options.attempt(request.bytes, part);
      options.onOutcome(outcome);
      if (outcome.kind !== 'retry') return outcome;
      const waitMs = backoffMs(options.backoff, retry, outcome.delayMs);
      if (performance.now() - startMs + waitMs > options.maxElapsedMs) {
        this.account.drop('retries_exhausted', request.spans);
        return undefined;
      }
      if (!(await options.sleep(waitMs))) {
        this.account.drop('shutdown', request.spans);
        return undefined;
      }
    }
  }
}
