// Where a table was measured: machine, versions, and how the processes are placed.
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { pinned } from './children.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

/** The machine as fields of a JSON report. */
export function machine() {
  return {
    tracecarVersion: version,
    nodeVersion: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    proxyAloneOnOneCore: pinned,
  };
}

/** The machine as one line of a table's heading. */
export function machineLine(): string {
  const placed = pinned
    ? 'the proxy alone on core 1, everything else on core 0'
    : 'NOT pinned: taskset or a second core is missing';
  return `Tracecar ${version}, Node ${process.version}, ${cpus().length} cores, ${cpus()[0]?.model ?? 'unknown CPU'}; ${placed}`;
}
