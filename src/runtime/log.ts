// Logs: JSON lines on stderr by pino, readable lines on a terminal.
import { createRequire } from 'node:module';
import { pino } from 'pino';
import { UsageError } from './usage-error.ts';

export type Log = pino.Logger;

export const levels: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export function isLevel(text: string): boolean {
  return levels.includes(text);
}

/**
 * A logger for one program. `level` falls back to LOG_LEVEL, then to `info`.
 * @throws UsageError on an unknown level
 */
export function createLog(program: string, level = process.env.LOG_LEVEL ?? 'info'): Log {
  if (!isLevel(level)) {
    throw new UsageError(`--log-level: "${level}" is not a level; choose one of ${levels.join(', ')}`);
  }
  const options: pino.LoggerOptions = { level, base: { program }, timestamp: pino.stdTimeFunctions.isoTime };
  // Loaded only for a terminal, and in this thread: a thread of its own would cost more memory than the sidecar itself.
  if (process.stderr.isTTY) {
    const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
    return pino(options, pretty({ destination: 2, sync: true, ignore: 'pid,hostname' }));
  }
  return pino(options, pino.destination({ dest: 2, sync: true }));
}
