// What Node's socket errors are called in spans and metrics.
import { errorCode } from '../runtime/usage-error.ts';

/** `error.type` of a connection that broke. */
export function errorType(error: unknown): string {
  return errorCode(error) === 'ECONNRESET'
    ? 'connection_reset'
    : (errorCode(error) ?? 'connection_error').toLowerCase();
}

/** R8: refused, unreachable and timed out are told apart. */
export function connectFailure(error: unknown): string {
  switch (errorCode(error)) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'unreachable';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'dns';
    default:
      return 'failed';
  }
}
