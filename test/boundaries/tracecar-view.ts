// What Tracecar sees in a client's bytes: the requests it counts, where it inserted, and where it gave up.
import type { Exchange } from '../../src/sidecar/exchange.ts';
import { Observed } from '../sidecar/observed.ts';
import { pathOf } from './view.ts';

export interface TracecarRequest {
  readonly method: string;
  readonly target: string;
  readonly bodyBytes: number;
  readonly complete: boolean;
  /** The `traceparent` inserted into its head; undefined when it went on as it came. */
  readonly traceparent: string | undefined;
}

export interface TracecarView {
  readonly requests: readonly TracecarRequest[];
  /** Why nothing is read any more: a doubt, another protocol, or (`''`) neither. */
  readonly opaque: string;
  /** The last bytes are the beginning of a head that has not ended. */
  readonly awaitsHead: boolean;
  /** What went to the server, latin1. */
  readonly forwarded: string;
  /** The same without the inserted lines. */
  readonly original: string;
  readonly faults: readonly unknown[];
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Lets an observer read the pieces (latin1) of one client's stream, then both ends close. */
export function readByTracecar(pieces: readonly string[]): TracecarView {
  const seen = new Observed();
  const requests: Mutable<TracecarRequest>[] = [];
  const open = new Map<Exchange, Mutable<TracecarRequest>>();
  const { tracer } = seen;
  const openExchange = tracer.open.bind(tracer);
  tracer.open = (exchange, head, text, from, connection) => {
    const rest = openExchange(exchange, head, text, from, connection);
    const traceparent = /(?:^|\n)traceparent: (00-[^\r]*)\r\n/.exec(rest)?.[1];
    const { method, target } = exchange;
    const request = { method, target: pathOf(target), bodyBytes: 0, complete: false, traceparent };
    requests.push(request);
    open.set(exchange, request);
    return rest;
  };
  tracer.close = (exchange) => {
    const request = open.get(exchange);
    if (request === undefined) throw new Error('an exchange closes that was not open');
    open.delete(exchange);
    request.bodyBytes = exchange.requestBytes;
    request.complete = exchange.requestDone;
  };
  seen.client(...pieces);
  const other = seen.detected.find((protocol) => protocol !== 'http1' && protocol !== 'unknown') ?? '';
  const heldBytes = pieces.reduce((sum, piece) => sum + piece.length, 0) - seen.original.length;
  seen.finish();
  return {
    requests,
    opaque: seen.degraded[0] ?? other,
    awaitsHead: heldBytes > 0,
    forwarded: seen.forwarded,
    original: seen.original,
    faults: seen.faults,
  };
}
