// A mistake of the operator: an unusable flag, file, address or port. One line, exit code 2, no stack trace.

/** Thrown for unusable configuration. `message` says what is wrong, where, and what to do, on one line. */
export class UsageError extends Error {
  readonly code = 'TRACECAR_USAGE';
  readonly fault = 'client';
  override readonly name = 'UsageError';
}

/** The system error code (`EADDRINUSE`, `ECONNREFUSED`, ...) of anything thrown, or undefined. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of anything thrown. */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(errorMessage).join('; ');
  return error instanceof Error ? error.message : String(error);
}
