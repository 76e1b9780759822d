// The worker processes of a sidecar, as its log and Linux's /proc show them.
import { readFileSync } from 'node:fs';
import { eventually } from './eventually.ts';
import { type Program, parseListening } from './programs.ts';

/** Why tests of the supervisor cannot run here, or false. */
export const noSupervisor = process.platform === 'linux' ? false : 'the supervisor needs Linux';

/** The process ids of every worker that has listened so far, in order. */
export function workerIds(program: Program): number[] {
  return program.stderr.map(parseListening).flatMap((entry) => (entry === undefined ? [] : [Number(entry.pid)]));
}

/** Resolves with the process id of the `count`th worker once it listens. */
export function nthWorker(program: Program, count: number, timeoutMs = 10_000): Promise<number> {
  return eventually(`worker ${count} listens`, () => workerIds(program)[count - 1], timeoutMs);
}

/** Whether a process runs: one that has ended and waits for its parent does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Ends a worker as the kernel does when memory is short, and resolves when it is gone. */
export async function killWorker(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await eventually(`worker ${pid} is gone`, () => !isRunning(pid));
}

/** The `msg` of each log line so far. */
export function messages(program: Program): string[] {
  return program.stderr.map((line) => (line.startsWith('{') ? String(JSON.parse(line).msg) : line));
}
