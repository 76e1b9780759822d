// Reads the trace headers of one request into the incoming context; counts what was malformed or in conflict.
import { parseB3Multi, parseB3Single } from '../trace/b3.ts';
import { Format, type ParsedContext } from '../trace/context.ts';
import { parseOtTracer, parseUberTraceId } from '../trace/jaeger.ts';
import { type ConflictKind, resolveContext } from '../trace/resolve.ts';
import { isTraceStateValid, parseTraceparent } from '../trace/w3c.ts';
import { Field, firstTraceField, type RequestFields } from './request-fields.ts';

const bit = (id: number): number => 1 << (id - firstTraceField);
const tracecontextBits = bit(Field.traceparent) | bit(Field.tracestate);
const b3MultiBits =
  bit(Field.b3TraceId) | bit(Field.b3SpanId) | bit(Field.b3ParentSpanId) | bit(Field.b3Sampled) | bit(Field.b3Flags);
const otTracerBits = bit(Field.otTracerTraceId) | bit(Field.otTracerSpanId) | bit(Field.otTracerSampled);

/** What the context metrics count. */
export type ContextConflict = ConflictKind | 'malformed';

export interface IncomingContext {
  /** Bits of the formats present, valid or not: each is written again. */
  present: number;
  context: ParsedContext | undefined;
  conflict: ContextConflict | undefined;
  /** tracestate is passed on as its lines stand; false when they must go (no valid traceparent chosen, or illegal). */
  keepTraceState: boolean;
}

const nothing: IncomingContext = { present: 0, context: undefined, conflict: undefined, keepTraceState: false };

/** Reads every format that is present and settles conflicts by R15. */
export function readIncomingContext(fields: RequestFields, wasInjected: (spanId: string) => boolean): IncomingContext {
  const bits = fields.tracePresent;
  if (bits === 0) return nothing;
  const found: ParsedContext[] = [];
  let present = 0;
  let malformed = false;
  let w3c: ParsedContext | undefined;
  const add = (format: number, parsed: ParsedContext | undefined) => {
    present |= format;
    if (parsed === undefined) malformed = true;
    else found.push(parsed);
  };
  if ((bits & tracecontextBits) !== 0) {
    w3c = readTraceparent(fields);
    add(Format.tracecontext, w3c);
  }
  if ((bits & bit(Field.b3)) !== 0) add(Format.b3, parseB3Single(fields.value(Field.b3)!));
  if ((bits & b3MultiBits) !== 0) add(Format.b3multi, readB3Multi(fields));
  if ((bits & bit(Field.uberTraceId)) !== 0) add(Format.jaeger, parseUberTraceId(fields.value(Field.uberTraceId)!));
  if ((bits & otTracerBits) !== 0) add(Format.ottrace, readOtTracer(fields));
  const resolved = areAlike(found) ? { context: found[0]!, conflict: undefined } : resolveContext(found, wasInjected);
  const context = resolved?.context;
  const keepTraceState =
    w3c !== undefined &&
    w3c.traceId === context?.traceId &&
    (!fields.has(Field.tracestate) || isTraceStateValid(fields.values(Field.tracestate)));
  return { present, context, conflict: resolved?.conflict ?? (malformed ? 'malformed' : undefined), keepTraceState };
}

/** The usual case in a mesh: all formats say the same. */
function areAlike(found: readonly ParsedContext[]): boolean {
  const first = found[0];
  if (first === undefined) return false;
  for (let i = 1; i < found.length; i++) {
    const other = found[i]!;
    if (other.spanId !== first.spanId || other.traceId !== first.traceId) return false;
    if (other.sampled !== first.sampled || other.debug !== first.debug) return false;
  }
  return true;
}

/** Two traceparent lines are as good as none (W3C section 3.2). */
function readTraceparent(fields: RequestFields): ParsedContext | undefined {
  const value = fields.value(Field.traceparent);
  if (value === undefined || fields.isRepeated(Field.traceparent)) return undefined;
  return parseTraceparent(value);
}

function readB3Multi(fields: RequestFields): ParsedContext | undefined {
  return parseB3Multi({
    traceId: fields.value(Field.b3TraceId),
    spanId: fields.value(Field.b3SpanId),
    sampled: fields.value(Field.b3Sampled),
    flags: fields.value(Field.b3Flags),
  });
}

function readOtTracer(fields: RequestFields): ParsedContext | undefined {
  const trace = fields.value(Field.otTracerTraceId) ?? '';
  return parseOtTracer(trace, fields.value(Field.otTracerSpanId) ?? '', fields.value(Field.otTracerSampled));
}
