// Which answers may be retried: the tables of the OTLP specification ("Failures"), for gRPC and for HTTP.
import type { ExportOutcome } from './outcome.ts';

const retryableGrpc = new Set([1, 4, 10, 11, 14, 15]);
const grpcNames = [
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS',
  'UNAUTHENTICATED',
].flatMap((line) => line.split(' '));

/** RESOURCE_EXHAUSTED is retryable only when the server attached RetryInfo. */
export function isRetryableGrpc(code: number, hasRetryInfo: boolean): boolean {
  return retryableGrpc.has(code) || (code === 8 && hasRetryInfo);
}

/** 429, 502, 503 and 504; every other 4xx and 5xx is final. */
export function isRetryableHttp(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}

/** `UNAVAILABLE` for 14. */
export function grpcCodeName(code: number): string {
  return grpcNames[code] ?? `CODE_${code}`;
}

/** `Retry-After` (whole seconds or an HTTP date, RFC 9110 section 10.2.3) as milliseconds from `nowMs`. */
export function parseRetryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/** The outcome of an HTTP answer: 2xx is accepted; 400, 413 and 415 are splittable refusals. */
export function judgeHttp(status: number, retryAfter: string | undefined, body: Uint8Array): ExportOutcome {
  if (status >= 200 && status < 300) return { kind: 'accepted', response: body };
  const reason = `HTTP ${status}`;
  if (!isRetryableHttp(status)) {
    return { kind: 'rejected', reason, splittable: status === 400 || status === 413 || status === 415 };
  }
  const delayMs = parseRetryAfterMs(retryAfter, Date.now());
  return delayMs === undefined ? { kind: 'retry', reason } : { kind: 'retry', reason, delayMs };
}
