// V8's own threads, for compiling and collecting, come after the one that serves.
import { readdirSync } from 'node:fs';
import os from 'node:os';

/**
 * Gives every other thread of this process the lowest priority (Linux; elsewhere nothing happens). To be called before
 * libuv starts threads of its own. Where a sidecar has one core, V8's threads otherwise run slices of milliseconds on it
 * while requests wait: measured, a third of a neighbour's p99 when connections come and go.
 */
export function putBackgroundThreadsLast(): void {
  for (const thread of otherThreads()) {
    try {
      os.setPriority(thread, os.constants.priority.PRIORITY_LOW);
    } catch {
      // It has ended, or we may not: then it stays as it is.
    }
  }
}

function otherThreads(): number[] {
  try {
    return readdirSync('/proc/self/task')
      .map(Number)
      .filter((thread) => thread !== process.pid);
  } catch {
    return [];
  }
}
