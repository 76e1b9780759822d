// A backend as a destination: its own queue, its own consumers, its own account. What one backend does reaches no other.
import type { PartialSuccess } from '../../formats/otlp/response.ts';
import type { CountedRequest } from '../../formats/otlp/split.ts';
import { type BackoffOptions, defaultBackoff } from '../../runtime/export/backoff.ts';
import type { ExportOutcome } from '../../runtime/export/outcome.ts';
import type { Log } from '../../runtime/log.ts';
import { errorMessage } from '../../runtime/usage-error.ts';
import { type Destination, DestinationStats, type DropReason } from '../destination.ts';
import { type Account, Delivery, type DeliveryOptions } from './delivery.ts';
import { EpisodeLog } from './episode-log.ts';
import { type Batch, SendingQueue } from './sending-queue.ts';

/** How a kind of backend is spoken to. */
export interface BackendClient {
  /** Sends one OTLP request in the backend's own form; never rejects. `part` names it, the same at every attempt. */
  send(request: Uint8Array, part: string): Promise<ExportOutcome>;
  /** What an accepting answer says against some of the spans. */
  readPartialSuccess(response: Uint8Array): PartialSuccess;
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

export class QueuedExporter implements Destination {
  readonly name: string;
  readonly stats = new DestinationStats();
  readonly capacityBytes: number;
  private readonly client: BackendClient;
  private readonly queue: SendingQueue;
  private readonly deliveryOptions: DeliveryOptions;
  private readonly episodes: EpisodeLog;
  private readonly consumers: Promise<void>[];
  private readonly sending = new Set<BatchAccount>();
  private readonly sleepers = new Set<() => void>();
  private isClosed = false;
  private isOver = false;

  constructor(name: string, client: BackendClient, settings: ExporterSettings, log: Log, nextPart: () => string) {
    this.name = name;
    this.client = client;
    this.episodes = new EpisodeLog(name, log);
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
      onOutcome: (outcome) => this.episodes.outcome(outcome, this.queuedSpans),
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
    if (this.isClosed) {
      this.stats.drop('shutdown', request.spans);
      return;
    }
    const isTaken = this.queue.offer(request);
    if (!isTaken) this.stats.drop('queue_full', request.spans);
    this.episodes.queue(isTaken, this.queuedBytes, this.capacityBytes);
  }

  async drain(deadlineMs: number): Promise<void> {
    this.isClosed = true;
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
      this.episodes.fault(errorMessage(error));
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
    const answer = this.client.readPartialSuccess(response);
    this.episodes.partialSuccess(answer);
    return answer.rejectedSpans;
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
