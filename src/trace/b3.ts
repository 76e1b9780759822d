// B3 propagation: the single `b3` header and the `x-b3-*` headers (openzipkin/b3-propagation).
import { isSpanId, isTraceId, type ParsedContext, type SpanContext } from './context.ts';

/** The flag characters of the single header. */
function flagOf(char: string): { sampled: boolean; debug: boolean } | undefined {
  if (char === '1') return { sampled: true, debug: false };
  if (char === '0') return { sampled: false, debug: false };
  return char === 'd' ? { sampled: true, debug: true } : undefined;
}

/** Parses `{trace id}-{span id}[-{0|1|d}[-{parent id}]]`, or a lone flag; undefined when it is neither. */
export function parseB3Single(value: string): ParsedContext | undefined {
  if (value.length === 1) {
    const flag = flagOf(value);
    return flag && parsed('', '', flag.sampled, flag.debug, false);
  }
  const parts = value.split('-');
  if (parts.length < 2 || parts.length > 4) return undefined;
  const [trace = '', span = '', flagText, parent] = parts;
  const ids = parseIds(trace, span);
  if (ids === undefined || (parent !== undefined && !isSpanId(parent))) return undefined;
  if (flagText === undefined) return parsed(ids.traceId, span, undefined, false, ids.traceId64);
  const flag = flagOf(flagText);
  return flag && parsed(ids.traceId, span, flag.sampled, flag.debug, ids.traceId64);
}

/** The `x-b3-*` values as they came; undefined for a header that is absent. */
export interface B3MultiHeaders {
  readonly traceId: string | undefined;
  readonly spanId: string | undefined;
  readonly sampled: string | undefined;
  readonly flags: string | undefined;
}

/** Parses the multi-header form; a flag without ids is kept (R16 step 4). Upper-case ids are read too. */
export function parseB3Multi(headers: B3MultiHeaders): ParsedContext | undefined {
  const debug = headers.flags === '1';
  const sampled = debug ? true : parseSampled(headers.sampled);
  const { traceId, spanId } = headers;
  if (traceId === undefined && spanId === undefined) {
    return sampled === undefined ? undefined : parsed('', '', sampled, debug, false);
  }
  if (traceId === undefined || spanId === undefined) return undefined;
  // Brave accepts upper case; ids in lower case, nearly all, are not copied.
  const span = isSpanId(spanId) ? spanId : spanId.toLowerCase();
  const ids = parseIds(traceId, span) ?? parseIds(traceId.toLowerCase(), span);
  return ids && parsed(ids.traceId, span, sampled, debug, ids.traceId64);
}

/** One shape for all contexts: the comparison of formats runs for every request. */
function parsed(
  traceId: string,
  spanId: string,
  sampled: boolean | undefined,
  debug: boolean,
  traceId64: boolean,
): ParsedContext {
  return { traceId, spanId, sampled, debug, traceId64, randomFlag: false };
}

function parseSampled(value: string | undefined): boolean | undefined {
  if (value === '1' || value === 'true') return true;
  return value === '0' || value === 'false' ? false : undefined;
}

function parseIds(trace: string, span: string): { traceId: string; traceId64: boolean } | undefined {
  const traceId64 = trace.length === 16;
  const traceId = traceId64 ? `0000000000000000${trace}` : trace;
  return isTraceId(traceId) && isSpanId(span) ? { traceId, traceId64 } : undefined;
}

/** The trace id in the width it came in. */
export function b3TraceId(context: SpanContext): string {
  return context.traceId64 ? context.traceId.slice(16) : context.traceId;
}

/** The single header: always with a flag, with the parent when there is one. */
export function formatB3Single(context: SpanContext): string {
  const flag = context.debug ? 'd' : context.sampled ? '1' : '0';
  const parent = context.parentSpanId === '' ? '' : `-${context.parentSpanId}`;
  return `${b3TraceId(context)}-${context.spanId}-${flag}${parent}`;
}

/** The `x-b3-*` lines with CRLFs. Debug implies sampled, so `x-b3-sampled` is not sent beside `x-b3-flags: 1`. */
export function formatB3MultiLines(context: SpanContext): string {
  const parent = context.parentSpanId === '' ? '' : `x-b3-parentspanid: ${context.parentSpanId}\r\n`;
  const flag = context.debug ? 'x-b3-flags: 1\r\n' : context.sampled ? 'x-b3-sampled: 1\r\n' : 'x-b3-sampled: 0\r\n';
  return `x-b3-traceid: ${b3TraceId(context)}\r\nx-b3-spanid: ${context.spanId}\r\n${parent}${flag}`;
}
