// W3C Trace Context (level 2): traceparent and tracestate.
import { isSpanId, isTraceId, type ParsedContext, type SpanContext } from './context.ts';

const maxTraceStateMembers = 32;
const traceStateMember =
  /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Parses a traceparent value (section 3.2); undefined when it is invalid. Later versions are read by their first 55. */
export function parseTraceparent(value: string): ParsedContext | undefined {
  if (value.length < 55 || value[2] !== '-' || value[35] !== '-' || value[52] !== '-') return undefined;
  const version = value.slice(0, 2);
  if (version === '00' ? value.length !== 55 : !isLaterVersion(version, value)) return undefined;
  const traceId = value.slice(3, 35);
  const spanId = value.slice(36, 52);
  const bits = parseFlags(value.charCodeAt(53), value.charCodeAt(54));
  if (!isTraceId(traceId) || !isSpanId(spanId) || bits < 0) return undefined;
  return { traceId, spanId, sampled: (bits & 1) === 1, debug: false, traceId64: false, randomFlag: (bits & 2) === 2 };
}

/** The value of two lower-case hex digits, -1 when they are none. */
function parseFlags(high: number, low: number): number {
  const first = hexDigit(high);
  const second = hexDigit(low);
  return first < 0 || second < 0 ? -1 : first * 16 + second;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
}

function isLaterVersion(version: string, value: string): boolean {
  if (!/^[0-9a-f]{2}$/.test(version) || version === 'ff') return false;
  return value.length === 55 || value[55] === '-';
}

/** `00-<trace id>-<span id>-<flags>`; of the flags only sampled and random-trace-id are passed on. */
export function formatTraceparent(context: SpanContext): string {
  const flags = (context.sampled ? 1 : 0) + (context.randomFlag ? 2 : 0);
  return `00-${context.traceId}-${context.spanId}-0${flags}`;
}

/**
 * Whether the tracestate lines, joined, are a legal list (level 2, section 3.3): at most 32 members, legal keys and
 * values. Empty members, white space around members and repeated keys are passed on as they are.
 */
export function isTraceStateValid(lines: readonly string[]): boolean {
  let members = 0;
  for (const part of lines.join(',').split(',')) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, '');
    if (member === '') continue;
    if (!traceStateMember.test(member) || ++members > maxTraceStateMembers) return false;
  }
  return true;
}
