// A connection's observers without sockets: what it hands on, the spans it closes, the doubts it raises.

import { nowMs } from '../../src/sidecar/clock.ts';
import type { ConnectionObserver } from '../../src/sidecar/connection-observer.ts';
import { Detection, type ObservedConnection } from '../../src/sidecar/detection.ts';
import type { Exchange } from '../../src/sidecar/exchange.ts';
import type { Exporter } from '../../src/sidecar/export/exporter.ts';
import { SpanEncoder } from '../../src/sidecar/export/span-encoder.ts';
import { SpanTemplate } from '../../src/sidecar/export/span-template.ts';
import { HeaderForwarding } from '../../src/sidecar/header-forwarding.ts';
import { loadConfig } from '../../src/sidecar/load-config.ts';
import type { FlagValues } from '../../src/sidecar/options.ts';
import type { SpanRecord } from '../../src/sidecar/span-record.ts';
import { SidecarStats } from '../../src/sidecar/stats.ts';
import { Tracer } from '../../src/sidecar/tracer.ts';

export interface SeenSpan {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly errorType: string;
  readonly responseFlag: string;
}

export const facts = {
  direction: 'inbound',
  clientAddress: '127.0.0.1',
  clientPort: 40_000,
  upstreamAddress: '127.0.0.1',
  upstreamPort: 8080,
  upstreamCluster: 'inbound|8080||',
} as const;

/** The lines the sidecar inserts by default into a request that brought none of them. */
const inserted =
  /traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\nx-b3-traceid: [0-9a-f]{32}\r\nx-b3-spanid: [0-9a-f]{16}\r\nx-b3-sampled: 1\r\nx-request-id: [0-9a-f-]{36}\r\n/g;

export function createTracer(flags: FlagValues = {}) {
  const { config } = loadConfig({ inbound: ['0=127.0.0.1:8080'], ...flags }, {});
  const encoder = new SpanEncoder({
    attributes: config.spanAttributes,
    customTags: config.customTags,
    maxPathTagLength: config.maxPathTagLength,
    allowedQueryParameters: new Set(config.allowedQueryParameters),
    service: 'shop',
    environment: {},
  });
  const stats = new SidecarStats();
  const forwarding = new HeaderForwarding(true);
  return { config, encoder, stats, forwarding };
}

export class Observed {
  forwarded = '';
  readonly spans: SeenSpan[] = [];
  readonly degraded: string[] = [];
  readonly faults: unknown[] = [];
  readonly detected: string[] = [];
  /** Reasons of `--strict`, the statuses it was answered with, and connection spans and parts. */
  readonly refused: string[] = [];
  readonly answers: number[] = [];
  readonly records: SpanRecord[] = [];
  readonly proxied: string[] = [];
  /** Of each span: messages from the client, from the server. */
  readonly messages: [number, number][] = [];
  observer: ConnectionObserver;
  readonly tracer: Tracer;
  readonly stats: SidecarStats;

  constructor(flags: FlagValues = {}) {
    const { config, stats, forwarding } = createTracer(flags);
    this.stats = stats;
    const exporter = {
      add: (exchange: Exchange) => this.#see(exchange),
      addRecord: (record: SpanRecord) => this.records.push(record),
    } as unknown as Exporter;
    this.tracer = new Tracer(config, exporter, stats, forwarding);
    const template = new SpanTemplate(facts);
    const connection: ObservedConnection = {
      direction: 'inbound',
      template,
      internal: true,
      startMs: nowMs(),
      bytesFromClient: 0,
      bytesFromServer: 0,
      admitsSpan: () => true,
      write: (data) => {
        this.forwarded += typeof data === 'string' ? data : data.toString('latin1');
      },
      detected: (protocol) => this.detected.push(protocol),
      observe: (observer) => {
        this.observer = observer;
      },
      degraded: (reason) => this.degraded.push(reason),
      rested: () => {},
      refused: (reason) => this.refused.push(reason),
      answerRefusal: (status) => this.answers.push(status),
      destroy: () => this.answers.push(0),
      proxied: (address) => this.proxied.push(address),
      faulted: (error) => this.faults.push(error),
    };
    this.observer = new Detection(this.tracer, connection);
  }

  #see(exchange: Exchange): void {
    this.messages.push([exchange.messagesFromClient, exchange.messagesFromServer]);
    const { method, target, status, requestBytes, responseBytes, errorType, responseFlag } = exchange;
    this.spans.push({ method, target, status, requestBytes, responseBytes, errorType, responseFlag });
  }

  /** Client bytes in pieces; each piece is wiped after the call, as the shared buffer is. */
  client(...pieces: readonly string[]): this {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece, 'latin1');
      this.observer.clientData(bytes, bytes.length);
      bytes.fill(0x58);
    }
    return this;
  }

  server(...pieces: readonly string[]): this {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece, 'latin1');
      this.observer.serverData(bytes, bytes.length);
      bytes.fill(0x58);
    }
    return this;
  }

  finish(errorType = ''): this {
    this.observer.clientEnded();
    this.observer.serverEnded();
    this.observer.finish({ flag: 'UC', errorType });
    return this;
  }

  /** What went to the server, less what was inserted. */
  get original(): string {
    return this.forwarded.replace(inserted, '');
  }

  get insertions(): number {
    return this.forwarded.match(inserted)?.length ?? 0;
  }
}

/** Cuts `text` at the given positions. */
export function cut(text: string, positions: readonly number[]): string[] {
  const at = [...new Set(positions.map((position) => position % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => text.slice(from, at[i] ?? text.length)).filter((piece) => piece !== '');
}
