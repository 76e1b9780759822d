// One backend's queue: bounded in bytes, handing out batches by size and by age.
import type { CountedRequest } from '../../formats/otlp/split.ts';

export interface SendingQueueOptions {
  /** Of all bytes waiting or being sent. */
  readonly maxBytes: number;
  /** A batch is handed out when this much waits, */
  readonly batchBytes: number;
  /** or when the oldest request waits this long. */
  readonly batchDelayMs: number;
  /** No batch is longer than this, unless a single request is. */
  readonly maxBatchBytes: number;
}

export interface Batch {
  readonly requests: readonly CountedRequest[];
  readonly bytes: number;
  readonly spans: number;
}

interface Waiting {
  readonly request: CountedRequest;
  readonly sinceMs: number;
}

/** Drops newest: a request that does not fit is refused, nothing waiting is given up for it. */
export class SendingQueue {
  private readonly options: SendingQueueOptions;
  private waiting: Waiting[] = [];
  /** Index of the oldest: shifting a long array costs its length each time. */
  private head = 0;
  private waitingBytes = 0;
  private sendingBytes = 0;
  private spansWaiting = 0;
  private readonly takers: ((batch: Batch | undefined) => void)[] = [];
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(options: SendingQueueOptions) {
    this.options = options;
  }

  get bytes(): number {
    return this.waitingBytes + this.sendingBytes;
  }

  /** Spans not yet handed out. */
  get spans(): number {
    return this.spansWaiting;
  }

  /** False when there is no room, or the queue is closed. */
  offer(request: CountedRequest): boolean {
    const size = request.bytes.byteLength;
    if (this.closed || this.bytes + size > this.options.maxBytes) return false;
    this.waiting.push({ request, sinceMs: performance.now() });
    this.waitingBytes += size;
    this.spansWaiting += request.spans;
    this.handOut();
    return true;
  }

  /**
   * Asks for the next batch: `onBatch` gets it when it is due, undefined when the queue is closed and empty. A callback,
   * because a promise would leave a batch with nobody for a moment, and its spans uncounted. Bytes count until `release`.
   */
  take(onBatch: (batch: Batch | undefined) => void): void {
    this.takers.push(onBatch);
    this.handOut();
  }

  release(batch: Batch): void {
    this.sendingBytes -= batch.bytes;
  }

  /** Takes no more; what waits is due at once. */
  close(): void {
    this.closed = true;
    this.handOut();
  }

  /** Gives up what still waits; returns its spans. */
  clear(): number {
    const spans = this.spansWaiting;
    this.waiting = [];
    this.head = 0;
    this.waitingBytes = 0;
    this.spansWaiting = 0;
    this.handOut();
    return spans;
  }

  private handOut(): void {
    clearTimeout(this.timer);
    while (this.takers.length > 0) {
      const oldest = this.waiting[this.head];
      if (oldest === undefined) {
        if (!this.closed) return;
        this.takers.shift()?.(undefined);
        continue;
      }
      const dueInMs = oldest.sinceMs + this.options.batchDelayMs - performance.now();
      if (!this.closed && this.waitingBytes < this.options.batchBytes && dueInMs > 0) {
        this.timer = setTimeout(() => this.handOut(), Math.ceil(dueInMs));
        return;
      }
      this.takers.shift()?.(this.cut());
    }
  }

  private cut(): Batch {
    const requests: CountedRequest[] = [];
    let bytes = 0;
    let spans = 0;
    for (let next = this.waiting[this.head]; next !== undefined; next = this.waiting[this.head]) {
      const size = next.request.bytes.byteLength;
      if (requests.length > 0 && bytes + size > this.options.maxBatchBytes) break;
      requests.push(next.request);
      bytes += size;
      spans += next.request.spans;
      this.head++;
    }
    if (this.head * 2 > this.waiting.length) {
      this.waiting = this.waiting.slice(this.head);
      this.head = 0;
    }
    this.waitingBytes -= bytes;
    this.spansWaiting -= spans;
    this.sendingBytes += bytes;
    return { requests, bytes, spans };
  }
}
