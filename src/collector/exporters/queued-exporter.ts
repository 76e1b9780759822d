// A backend as a destination: its own queue, its own consumers, its own account. What one backend does reaches no other.
import type { CountedRequest } from '../../formats/otlp/split.ts';
import { type BackoffOptions, defaultBackoff } from '../../runtime/export/backoff.ts';
import type { ExportOutcome } from '../../runtime/export/outcome.ts';
import type { Log } from '../../runtime/log.ts';
import { errorMessage } from '../../runtime/usage-error.ts';
import { type Destination, DestinationStats, type DropReason } from '../destination.ts';
import { type Account, Delivery, type DeliveryOptions } from './delivery.ts';
import { type Batch, SendingQueue } from './sending-queue.ts';

/** How a kind of backend is spoken to. */
export interface BackendClient {
  /** Sends one OTLP request in the backend's own form; never rejects. `part` names it, the same at every attempt. */
  send(request: Uint8Array, part: string): Promise<ExportOutcome>;
  /** What an accepting answer says against some of the spans. */
  readPartialSuccess(response: Uint8Array): { readonly rejectedSpans: number; readonly errorMessage: string };
  close(): void;
}

export interface ExporterSettings {
  readonly queueBytes: number;
  readonly consumers: number;
  readonly batchBytes: number;
  readonly batchDelayMs: number;
  readonly maxRequestBytes: number;
  readonly maxElapsedMs: number;
  readonly backoff: BackoffOptions;
}

const mebibyte = 1024 * 1024;

/** Requests stay below the 4 MiB that gRPC servers take by default. */
export const defaultExporterSettings: ExporterSettings = {
  queueBytes: 64 * mebibyte,
  consumers: 4,
  batchBytes: mebibyte,
  batchDelayMs: 200,
  maxRequestBytes: 3.5 * mebibyte,
  maxElapsedMs: 300_000,
  backoff: defaultBackoff,
};

const refusalLogIntervalMs = 10_000;

export class QueuedExporter implements Destination {
  readonly name: string;
  readonly stats = new DestinationStats();
  readonly capacityBytes: number;
  private readonly client: BackendClient;
  private readonly queue: SendingQueue;
  private readonly deliveryOptions: DeliveryOptions;
  private readonly log: Log;
  private readonly consumers: Promise<void>[];
  private readonly sending = new Set<BatchAccount>();
  private readonly sleepers = new Set<() => void>();
  private isFailing = false;
  private quietUntilMs = 0;
  private isWarned = false;
  private isQueueFull = false;
  private isOver = false;

  constructor(name: string, client: BackendClient, settings: ExporterSettings, log: Log, nextPart: () => string) {
    this.name = name;
    this.client = client;
    this.log = log;
    this.capacityBytes = settings.queueBytes;
    const { queueBytes: maxBytes, batchBytes, batchDelayMs, maxRequestBytes } = settings;
    this.queue = new SendingQueue({ maxBytes, batchBytes, batchDelayMs, maxBatchBytes: maxRequestBytes });
    this.deliveryOptions = {
      attempt: (request, part) => client.send(request, part),
      countRejected: (response) => this.countRejected(response),
      maxRequestBytes,
      maxElapsedMs: settings.maxElapsedMs,
      backoff: settings.backoff,
      sleep: (ms) => this.sleep(ms),
      nextPart,
      onOutcome: (outcome) => this.noteOutcome(outcome),
    };
    this.consumers = Array.from({ length: settings.consumers }, () => this.consume());
  }

  get queuedSpans(): number {
    let spans = this.queue.spans;
    for (const account of this.sending) spans += account.left;
    return spans;
  }

  get queuedBytes(): number {
    return this.queue.bytes;
  }

  accept(request: CountedRequest): void {
    this.stats.accepted += request.spans;
    const isTaken = this.queue.offer(request);
    if (!isTaken) this.stats.drop('queue_full', request.spans);
    if (isTaken === this.isQueueFull) {
      this.isQueueFull = !isTaken;
      const { name: exporter, queuedBytes, capacityBytes } = this;
      if (isTaken) this.log.info({ exporter, queuedBytes }, 'the queue takes spans again');
      else
        this.log.warn({ exporter, queuedBytes, capacityBytes }, 'the queue is full; new spans are dropped and counted');
    }
  }

  async drain(deadlineMs: number): Promise<void> {
    this.queue.close();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.giveUp();
        resolve();
      }, deadlineMs);
    });
    await Promise.race([Promise.all(this.consumers), deadline]);
    clearTimeout(timer);
    this.client.close();
  }

  /** The deadline has passed: everything left is dropped now, whatever a slow backend may still answer. */
  private giveUp(): void {
    this.isOver = true;
    const waiting = this.queue.clear();
    if (waiting > 0) this.stats.drop('shutdown', waiting);
    for (const account of this.sending) account.drop('shutdown', account.left);
    for (const wake of this.sleepers) wake();
  }

  /** Takes and delivers one batch after the other; resolves when the queue is closed and empty. */
  private consume(): Promise<void> {
    return new Promise((resolve) => {
      const takeNext = () =>
        this.queue.take((batch) => {
          if (batch === undefined) resolve();
          else void this.deliver(batch).then(takeNext);
        });
      takeNext();
    });
  }

  /** Never rejects. */
  private async deliver(batch: Batch): Promise<void> {
    const account = new BatchAccount(batch.spans, this.stats);
    this.sending.add(account);
    try {
      await new Delivery(this.deliveryOptions, account).run(batch);
    } catch (error) {
      this.log.error(
        { exporter: this.name, error: errorMessage(error) },
        'delivery of a batch failed by a fault of ours',
      );
    }
    account.drop('internal_error', account.left);
    this.sending.delete(account);
    this.queue.release(batch);
  }

  private sleep(ms: number): Promise<boolean> {
    if (this.isOver) return Promise.resolve(false);
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.sleepers.delete(wake);
        resolve(!this.isOver);
      };
      const timer = setTimeout(wake, ms);
      this.sleepers.add(wake);
    });
  }

  private countRejected(response: Uint8Array): number {
    const { rejectedSpans, errorMessage: message } = this.client.readPartialSuccess(response);
    const isWarning = rejectedSpans > 0 || message !== '';
    if (isWarning && !this.isWarned) {
      this.log.warn({ exporter: this.name, rejectedSpans, message }, 'the backend did not take everything');
    }
    this.isWarned = isWarning;
    return rejectedSpans;
  }

  /** One line when a backend stops answering and one when it is back; refusals are told at most once in a while. */
  private noteOutcome(outcome: ExportOutcome): void {
    const { name: exporter, queuedSpans } = this;
    if (outcome.kind === 'rejected') {
      if (performance.now() < this.quietUntilMs) return;
      this.quietUntilMs = performance.now() + refusalLogIntervalMs;
      this.log.warn({ exporter, reason: outcome.reason }, 'the backend refuses spans');
      return;
    }
    const isFailing = outcome.kind === 'retry';
    if (isFailing === this.isFailing) return;
    this.isFailing = isFailing;
    if (outcome.kind === 'retry')
      this.log.warn({ exporter, reason: outcome.reason }, 'the backend does not take spans now');
    else this.log.info({ exporter, queuedSpans }, 'the backend takes spans again');
  }
}

/** The spans of one batch, each settled once: what comes after a batch was given up changes nothing. */
class BatchAccount implements Account {
  left: number;
  private readonly stats: DestinationStats;

  constructor(spans: number, stats: DestinationStats) {
    this.left = spans;
    this.stats = stats;
  }

  sent(spans: number): void {
    this.stats.sent += this.settle(spans);
  }

  drop(reason: DropReason, spans: number): void {
    const settled = this.settle(spans);
    if (settled > 0) this.stats.drop(reason, settled);
  }

  private settle(spans: number): number {
    const settled = Math.min(spans, this.left);
    this.left -= settled;
    return settled;
  }
}
