// Jaeger's `uber-trace-id` and OpenTracing's `ot-tracer-*` headers: read always, written where present or asked for.
import { isSpanId, isTraceId, type ParsedContext, type SpanContext } from './context.ts';

/** Parses `{trace id}:{span id}:{parent id}:{flags}`, percent-encoded or not; short ids are padded with zeros. */
export function parseUberTraceId(value: string): ParsedContext | undefined {
  const parts = value.replaceAll(/%3a/gi, ':').toLowerCase().split(':');
  if (parts.length !== 4) return undefined;
  const [trace = '', span = '', , flagText = ''] = parts;
  if (trace.length > 32 || span.length > 16 || !/^[0-9a-f]{1,2}$/.test(flagText)) return undefined;
  const traceId = trace.padStart(32, '0');
  const spanId = span.padStart(16, '0');
  if (trace === '' || span === '' || !isTraceId(traceId) || !isSpanId(spanId)) return undefined;
  const flags = Number.parseInt(flagText, 16);
  const debug = (flags & 3) === 3;
  return { traceId, spanId, sampled: (flags & 1) === 1, debug, traceId64: trace.length <= 16, randomFlag: false };
}

/** `{trace id}:{span id}:{parent id or 0}:{flags}`. */
export function formatUberTraceId(context: SpanContext): string {
  const trace = context.traceId64 ? context.traceId.slice(16) : context.traceId;
  const flags = context.debug ? 3 : context.sampled ? 1 : 0;
  return `${trace}:${context.spanId}:${context.parentSpanId || '0'}:${flags}`;
}

/** Parses `ot-tracer-traceid`, `-spanid`, `-sampled`; the trace id has 64 bits here. */
export function parseOtTracer(trace: string, span: string, sampled: string | undefined): ParsedContext | undefined {
  if (!/^[0-9a-fA-F]{1,32}$/.test(trace) || !/^[0-9a-fA-F]{1,16}$/.test(span)) return undefined;
  const traceId = trace.toLowerCase().padStart(32, '0');
  const spanId = span.toLowerCase().padStart(16, '0');
  if (!isTraceId(traceId) || !isSpanId(spanId)) return undefined;
  const flag = sampled === 'true' || sampled === '1' ? true : sampled === undefined ? undefined : false;
  return { traceId, spanId, sampled: flag, debug: false, traceId64: trace.length <= 16, randomFlag: false };
}

/** The `ot-tracer-*` lines with CRLFs; only the low 64 bits of the trace id fit. */
export function formatOtTracerLines(context: SpanContext): string {
  const trace = `ot-tracer-traceid: ${context.traceId.slice(16)}\r\n`;
  return `${trace}ot-tracer-spanid: ${context.spanId}\r\not-tracer-sampled: ${context.sampled}\r\n`;
}
