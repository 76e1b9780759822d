// Goes through the stored traces, newest first, and stops at a limit; lets others run in between.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StoredTrace, TraceStore } from './trace-store.ts';

/** How long a search may keep the process from everything else. */
const sliceMs = 10;

/** Encoded bytes of the traces of one answer: as JSON they grow about fivefold. */
const maxAnswerBytes = 32 * 1024 * 1024;

/**
 * The traces that match, newest start first, at most `limit`, and no more than fit into one answer (32 MiB encoded;
 * the newest always does).
 */
export async function findTraces(
  store: TraceStore,
  limit: number,
  matches: (trace: StoredTrace) => boolean,
): Promise<StoredTrace[]> {
  const found: StoredTrace[] = [];
  let answerBytes = 0;
  let sliceEnd = performance.now() + sliceMs;
  for (const trace of store.newestFirst()) {
    if (found.length >= limit) break;
    if (matches(trace)) {
      answerBytes += trace.encodedBytes;
      if (answerBytes > maxAnswerBytes && found.length > 0) break;
      found.push(trace);
    }
    if (performance.now() > sliceEnd) {
      await nextTurn();
      sliceEnd = performance.now() + sliceMs;
    }
  }
  return found;
}
