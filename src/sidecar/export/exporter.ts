// The span queue: bounded, batched by size and time, sent and repeated in the background; every span accounted for.
import { randomBytes } from 'node:crypto';
import { backoffMs, defaultBackoff } from '../../runtime/export/backoff.ts';
import type { ExportOutcome, Transport } from '../../runtime/export/outcome.ts';
import type { Log } from '../../runtime/log.ts';
import { errorMessage } from '../../runtime/usage-error.ts';
import type { Exchange } from '../exchange.ts';
import type { SpanRecord } from '../span-record.ts';
import { bump } from '../stats.ts';
import { type Batch, OtlpBatch } from './otlp-batch.ts';
import type { SpanEncoder } from './span-encoder.ts';
import type { SpanTemplate } from './span-template.ts';

export interface ExporterOptions {
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
  readonly scheduleDelayMs: number;
  readonly serviceName: string;
  readonly resource: ReadonlyMap<string, string>;
  /** A batch that could not be delivered for this long is given up, counted `retry_expired`. */
  readonly maxElapsedMs: number;
}

/** `rejectedSpans` of a partial success in an answer body, and its message. */
export type ReadPartialSuccess = (response: Uint8Array) => { readonly rejectedSpans: number; readonly message: string };

export type DropReason =
  | 'queue_full'
  | 'flood'
  | 'rejected'
  | 'partial_success'
  | 'retry_expired'
  | 'shutdown'
  | 'encode_error';

/** Below the 4 MiB that gRPC servers take by default, with room for the last span. */
const maxBatchBytes = 2 << 20;
const maxConcurrentSends = 2;

/** created = exported + dropped + queued, at any time. */
export class Exporter {
  created = 0;
  exported = 0;
  /** Spans in the open batch, waiting, or being sent. */
  queued = 0;
  readonly dropped = new Map<DropReason, number>();
  /** The last answer that was not a success, '' when all is well: for `/connections` readers and the log. */
  lastFailure = '';

  readonly #options: ExporterOptions;
  readonly #encoder: SpanEncoder;
  readonly #transport: Transport;
  readonly #readPartialSuccess: ReadPartialSuccess;
  readonly #log: Log;
  readonly #open: OtlpBatch;
  readonly #waiting: Batch[] = [];
  readonly #instance = randomBytes(8).toString('hex');
  readonly #epoch = Date.now();
  readonly #wakers = new Set<() => void>();
  #sequence = 0;
  #sending = 0;
  #timer: NodeJS.Timeout | undefined;
  #closing = false;
  /** The shutdown's deadline has passed and what was left is counted: late answers change nothing. */
  #abandoned = false;
  #onIdle: (() => void) | undefined;

  constructor(
    options: ExporterOptions,
    encoder: SpanEncoder,
    transport: Transport,
    readPartialSuccess: ReadPartialSuccess,
    log: Log,
  ) {
    this.#options = options;
    this.#encoder = encoder;
    this.#transport = transport;
    this.#readPartialSuccess = readPartialSuccess;
    this.#log = log;
    this.#open = new OtlpBatch(options.serviceName, options.resource);
  }

  /** Encodes and queues the span of a finished exchange; when the queue is full the span is dropped, never the request. */
  add(exchange: Exchange, template: SpanTemplate, endMs: number): void {
    if (!this.#hasRoom()) return;
    const start = this.#open.writer.position;
    try {
      this.#encoder.write(this.#open.writer, exchange, template, endMs);
    } catch (error) {
      this.#encodingFailed(start, error);
      return;
    }
    this.#queue();
  }

  /** The same for a span that is not made of a request. */
  addRecord(record: SpanRecord): void {
    if (!this.#hasRoom()) return;
    const start = this.#open.writer.position;
    try {
      this.#encoder.writeRecord(this.#open.writer, record);
    } catch (error) {
      this.#encodingFailed(start, error);
      return;
    }
    this.#queue();
  }

  /** Counts a span that is not to be written. */
  refuse(reason: DropReason): void {
    this.created++;
    this.#drop(reason, 1);
  }

  #hasRoom(): boolean {
    this.created++;
    if (this.queued < this.#options.maxQueueSize) return true;
    this.#drop('queue_full', 1);
    return false;
  }

  #encodingFailed(start: number, error: unknown): void {
    this.#open.rewind(start);
    this.#log.warn({ error: errorMessage(error) }, 'a span could not be encoded');
    this.#drop('encode_error', 1);
  }

  #queue(): void {
    this.queued++;
    this.#open.count++;
    if (this.#open.count >= this.#options.maxExportBatchSize || this.#open.bytes > maxBatchBytes) this.#seal();
    else this.#timer ??= setTimeout(() => this.#seal(), this.#options.scheduleDelayMs);
  }

  /** Sends what is queued and resolves when all of it is settled, or after `timeoutMs` drops the rest, counted. */
  async shutdown(timeoutMs: number): Promise<void> {
    this.#closing = true;
    this.#seal();
    for (const wake of this.#wakers) wake();
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    if (this.queued > 0) await Promise.race([idle, timeout]);
    clearTimeout(timer);
    if (this.queued > 0) this.#settle('shutdown', this.queued);
    this.#abandoned = true;
    this.#transport.close();
  }

  #seal(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#open.count === 0) return;
    this.#waiting.push(this.#open.seal(`${this.#instance}/${this.#epoch}/${this.#sequence++}`));
    this.#pump();
  }

  #pump(): void {
    while (this.#sending < maxConcurrentSends) {
      const batch = this.#waiting.shift();
      if (batch === undefined) break;
      this.#sending++;
      this.#deliver(batch).then(
        () => this.#afterSend(),
        (error: unknown) => {
          this.#log.error({ error: errorMessage(error) }, 'delivery failed');
          this.#settle('rejected', batch.spanCount);
          this.#afterSend();
        },
      );
    }
  }

  #afterSend(): void {
    this.#sending--;
    this.#pump();
    if (this.#sending === 0 && this.queued === 0) this.#onIdle?.();
  }

  /** Sends one batch until it is settled: the same bytes and the same id each time. */
  async #deliver(batch: Batch): Promise<void> {
    const giveUpAtMs = performance.now() + this.#options.maxElapsedMs;
    for (let retry = 1; ; retry++) {
      const outcome = await this.#transport.send(batch.body, { 'tracecar-batch': batch.id });
      if (outcome.kind === 'accepted') {
        this.#accepted(batch, outcome.response);
        this.#open.recycle(batch);
        return;
      }
      this.#noteFailure(outcome);
      if (outcome.kind === 'rejected' || performance.now() > giveUpAtMs || this.#abandoned) {
        this.#settle(outcome.kind === 'rejected' ? 'rejected' : 'retry_expired', batch.spanCount);
        return;
      }
      await this.#sleep(backoffMs(defaultBackoff, retry, outcome.delayMs));
    }
  }

  #accepted(batch: Batch, response: Uint8Array): void {
    if (this.#abandoned) return;
    if (this.lastFailure !== '') this.#log.info('spans are being delivered again');
    this.lastFailure = '';
    const partial = this.#readPartialSuccess(response);
    const rejected = Math.min(batch.spanCount, Math.max(0, partial.rejectedSpans));
    if (rejected > 0) {
      this.#log.warn({ rejected, message: partial.message }, 'the collector refused a part of a batch');
      this.#settle('partial_success', rejected);
    }
    this.exported += batch.spanCount - rejected;
    this.queued -= batch.spanCount - rejected;
  }

  /** Once per episode: a collector that is down for an hour is one line, not one a second. */
  #noteFailure(outcome: Exclude<ExportOutcome, { kind: 'accepted' }>): void {
    if (this.lastFailure === '') this.#log.warn({ reason: outcome.reason }, `span delivery: ${outcome.kind}`);
    this.lastFailure = outcome.reason;
  }

  #settle(reason: DropReason, spans: number): void {
    if (this.#abandoned) return;
    this.queued -= spans;
    this.#drop(reason, spans);
  }

  #drop(reason: DropReason, spans: number): void {
    if (spans > 0) bump(this.dropped as Map<string, number>, reason, spans);
  }

  /** Waits, but not through a shutdown: then the next attempt is made soon, until the deadline there ends it. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wakers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, this.#closing ? Math.min(ms, 100) : ms);
      this.#wakers.add(done);
    });
  }
}
