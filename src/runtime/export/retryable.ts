// Which answers may be retried: the tables of the OTLP specification ("Failures"), for gRPC and for HTTP.

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
