// Writes the head that goes on: the original bytes, less the trace headers being replaced, plus our lines.
import { formatB3MultiLines, formatB3Single } from '../trace/b3.ts';
import { Format, type SpanContext } from '../trace/context.ts';
import { formatOtTracerLines, formatUberTraceId } from '../trace/jaeger.ts';
import { formatTraceparent } from '../trace/w3c.ts';
import type { HeadScanner } from '../wire/http1/head-scanner.ts';
import { Field, firstTraceField, lastTraceField } from './request-fields.ts';

/** The header lines, CRLFs included, that carry `context` in each of the `formats` (bits of `Format`). */
export function formatContextLines(context: SpanContext, formats: number): string {
  let lines = '';
  if ((formats & Format.tracecontext) !== 0) lines = `traceparent: ${formatTraceparent(context)}\r\n`;
  if ((formats & Format.b3) !== 0) lines += `b3: ${formatB3Single(context)}\r\n`;
  if ((formats & Format.b3multi) !== 0) lines += formatB3MultiLines(context);
  if ((formats & Format.jaeger) !== 0) lines += `uber-trace-id: ${formatUberTraceId(context)}\r\n`;
  if ((formats & Format.ottrace) !== 0) lines += formatOtTracerLines(context);
  return lines;
}

/**
 * The head from its character `from` on, without its trace header lines and with `lines` before the blank line.
 * @param text the scanned head as latin1, its blank line included
 * @param keepTraceState leaves `tracestate` lines where they stand
 */
export function rewriteHead(
  text: string,
  head: HeadScanner,
  from: number,
  lines: string,
  keepTraceState: boolean,
): string {
  let result = '';
  let copied = from;
  for (let i = 0, at = 0; i < head.knownCount; i++, at += 5) {
    const id = head.fields[at]!;
    if (id < firstTraceField || id > lastTraceField || (keepTraceState && id === Field.tracestate)) continue;
    result += text.slice(copied, head.fields[at + 1]!);
    copied = head.fields[at + 4]!;
  }
  return `${result}${text.slice(copied, text.length - 2)}${lines}\r\n`;
}
