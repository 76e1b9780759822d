// Where a table was measured: machine, versions, and how the processes are placed.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { findProgram, pinned } from './children.ts';
import { envoyProgram } from './peers/envoy.ts';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

interface Program {
  readonly name: string;
  readonly file: string | undefined;
  readonly flag: string;
}

/** What may take part in a run besides our own programs. */
const others: readonly Program[] = [
  { name: 'nginx', file: findProgram('nginx'), flag: '-v' },
  { name: 'HAProxy', file: findProgram('haproxy'), flag: '-v' },
  { name: 'Envoy', file: envoyProgram, flag: '--version' },
  { name: 'wrk', file: findProgram('wrk'), flag: '-v' },
  { name: 'Go', file: findProgram('go'), flag: 'version' },
];

/** The first number with points that a program prints when asked for its version. */
function versionOf({ file, flag }: Program): string | undefined {
  if (file === undefined) return undefined;
  const { stdout, stderr } = spawnSync(file, [flag], { encoding: 'utf8', timeout: 5000 });
  return /\d+\.\d+[\w.]*/.exec(`${stdout ?? ''}${stderr ?? ''}`)?.[0];
}

/** The machine as fields of a JSON report. */
export function machine() {
  return {
    tracecarVersion: version,
    nodeVersion: process.version,
    otherVersions: Object.fromEntries(others.map((program) => [program.name, versionOf(program)])),
    linux: release(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    proxyAloneOnOneCore: pinned,
  };
}

/** The machine as lines of a table's heading. */
export function machineLines(): string[] {
  const placed = pinned
    ? 'the proxy alone on core 1, everything else on core 0'
    : 'NOT pinned: taskset or a second core is missing';
  const { otherVersions, linux, cpu, cores } = machine();
  const installed = Object.entries(otherVersions).filter(([, found]) => found !== undefined);
  const programs = [['Tracecar', version], ['Node', process.version.slice(1)], ...installed, ['Linux', linux]];
  return [`${cores} cores, ${cpu}; ${placed}`, programs.map((program) => program.join(' ')).join(', ')];
}
