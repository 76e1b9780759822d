// The canonical span context every header format is read into and written from.

/** Bits naming the propagation formats, as OTEL_PROPAGATORS names them. */
export const Format = { tracecontext: 1, b3: 2, b3multi: 4, jaeger: 8, ottrace: 16 } as const;

export type FormatName = keyof typeof Format;

/** Order of precedence when formats disagree (R15). */
export const formatOrder: readonly FormatName[] = ['tracecontext', 'b3', 'b3multi', 'jaeger', 'ottrace'];

/** What one format's headers said. Ids are lower-case; a 64-bit trace id is padded to 32 characters. */
export interface ParsedContext {
  /** '' when the headers carry a sampling flag but no ids (`b3: 0`). */
  readonly traceId: string;
  readonly spanId: string;
  /** undefined defers the decision to the receiver. */
  readonly sampled: boolean | undefined;
  /** B3 debug, Jaeger debug: sampled and not to be thinned out. */
  readonly debug: boolean;
  /** The trace id came as 16 characters; it goes on as 16 where the format allows that. */
  readonly traceId64: boolean;
  /** W3C level 2 random-trace-id flag. */
  readonly randomFlag: boolean;
}

/** The context that goes on to the peer. */
export interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for a root. */
  readonly parentSpanId: string;
  readonly sampled: boolean;
  readonly debug: boolean;
  readonly traceId64: boolean;
  readonly randomFlag: boolean;
}

/** A non-zero span id of 16 lower-case hex characters. */
export function isSpanId(text: string): boolean {
  return text.length === 16 && isNonZeroHex(text);
}

/** A non-zero trace id of 32 lower-case hex characters. */
export function isTraceId(text: string): boolean {
  return text.length === 32 && isNonZeroHex(text);
}

/** Lower-case hex digits, not all of them zero. A loop: this runs several times a request, and is half a regex's cost. */
function isNonZeroHex(text: string): boolean {
  let nonZero = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x30 || code > 0x66 || (code > 0x39 && code < 0x61)) return false;
    nonZero |= code - 0x30;
  }
  return nonZero !== 0;
}
