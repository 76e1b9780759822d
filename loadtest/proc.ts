// CPU time and memory of a process and all its descendants, from Linux's /proc.
import { readdirSync, readFileSync } from 'node:fs';

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
  for (const stat of stats) {
    if (!members.has(stat.pid)) continue;
    ticks += stat.cpuTicks;
    pages += stat.residentPages;
  }
  return { cpuUs: (ticks * 1e6) / ticksPerSecond, residentBytes: pages * pageBytes };
}
