// A span that is not made of a request: connection spans and the parts of long ones, a handful a minute.

export type SpanKind = 'INTERNAL' | 'SERVER' | 'CLIENT';

export interface SpanEvent {
  readonly name: string;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Ids are lower-case hex; times are epoch milliseconds; numbers are whole and not negative. */
export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: SpanKind;
  readonly startMs: number;
  readonly endMs: number;
  /** Values that are '' are left out. */
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly events: readonly SpanEvent[];
  readonly error: boolean;
}
