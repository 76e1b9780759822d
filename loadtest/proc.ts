// CPU time and memory of a process and all its descendants, from Linux's /proc.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** `/proc/PID/stat` counts in USER_HZ, which Linux fixes at 100 for user space on every architecture Node runs on. */
const ticksPerSecond = 100;
const pageBytes = 4096;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuTicks: number;
  readonly residentPages: number;
}

export interface Usage {
  /** User plus system time, all threads, in microseconds. */
  readonly cpuUs: number;
  readonly residentBytes: number;
  /** The largest process of the tree: the worker where a supervisor is its parent, else the process itself. */
  readonly worker: { readonly pid: number; readonly residentBytes: number };
}

/** Reads proc(5) `stat`: the name in parentheses may hold blanks, so fields are counted from its last `)`. */
function readStat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return { pid, parent: field(4), cpuTicks: field(14) + field(15), residentPages: field(24) };
}

/** Usage of the process tree under `root`, `root` included. */
export function treeUsage(root: number): Usage {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(Number(name)))
    .filter((stat) => stat !== undefined);
  const members = new Set([root]);
  let grew = true;
  while (grew) {
    const before = members.size;
    for (const stat of stats) if (members.has(stat.parent)) members.add(stat.pid);
    grew = members.size > before;
  }
  let ticks = 0;
  let pages = 0;
  let worker = { pid: root, residentBytes: 0 };
  for (const stat of stats) {
    if (!members.has(stat.pid)) continue;
    ticks += stat.cpuTicks;
    pages += stat.residentPages;
    const residentBytes = stat.residentPages * pageBytes;
    if (residentBytes > worker.residentBytes) worker = { pid: stat.pid, residentBytes };
  }
  return { cpuUs: (ticks * 1e6) / ticksPerSecond, residentBytes: pages * pageBytes, worker };
}

/** Makes `peakResidentBytes` count from now on; where that is not allowed it goes on from the process's start. */
export function resetPeak(pid: number): void {
  try {
    // proc(5) clear_refs: 5 resets VmHWM.
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // The older peak stands: too high rather than too low.
  }
}

/** The most memory one process has had resident; 0 when it is gone. */
export function peakResidentBytes(pid: number): number {
  try {
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** How many files a process started from here may open. */
export function maxOpenFiles(): number {
  const line = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return line?.[1] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line?.[1] ?? 1024);
}

/** How many files a process has open, sockets among them; 0 when it is gone. */
export function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** Waits, at most ten seconds, until a process tree has used next to no CPU time for a fifth of a second. */
export async function atRest(root: number): Promise<void> {
  let before = treeUsage(root).cpuUs;
  for (let tries = 0; tries < 50; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    const after = treeUsage(root).cpuUs;
    if (after - before <= 10_000) return;
    before = after;
  }
}
