// The demo's child processes: started, watched until they listen, and ended without exception whatever happens.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface ChildSpec {
  /** How messages name it: `the sidecar of orders`. */
  readonly name: string;
  /** Higher stages are stopped first, each stage at once. */
  readonly stage: number;
  /** Arguments of `node`. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** The `listening` log line of a child, parsed. */
export type Listening = Readonly<Record<string, unknown>>;

/** A child that ended before it was told to. */
export class ChildEnded extends Error {
  override readonly name = 'ChildEnded';
  /** True when a port it was given had been taken in the meantime. */
  readonly portTaken: boolean;
  /** What the child said of bad usage, '' when that was not why it ended. */
  readonly usage: string;

  constructor(child: string, how: string, lastLine: string) {
    super(`${child} ended (${how})${lastLine === '' ? '' : `: ${lastLine}`}`);
    this.portTaken = /port is taken|EADDRINUSE|cannot listen/.test(lastLine);
    this.usage = how === 'exit 2' && !this.portTaken ? lastLine.replace(/^tracecar: /, '') : '';
  }
}

export interface ChildGroup {
  /** Starts a child and resolves with its `listening` line. Rejects with ChildEnded when it ends before. */
  start(spec: ChildSpec): Promise<Listening>;
  /** Rejects with ChildEnded when a child that was listening ends by itself; else never settles. */
  readonly failed: Promise<never>;
  /** SIGTERM stage by stage, SIGKILL to what is left after `graceMs`. Resolves when all are gone. */
  stop(graceMs?: number): Promise<void>;
}

const startTimeoutMs = 20_000;

/** A group whose members end with this process; each has a pipe from it as its standard input. */
export function createChildGroup(): ChildGroup {
  const running: { child: ChildProcess; stage: number; exited: Promise<void> }[] = [];
  let stopping = false;
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  process.on('exit', () => {
    for (const { child } of running) child.kill('SIGKILL');
  });

  return {
    failed,
    start(spec) {
      if (stopping) return Promise.reject(new ChildEnded(spec.name, 'not started', 'the demo is being stopped'));
      // A group of its own keeps a terminal's Ctrl-C away: who stops when is decided in stop().
      const child = spawn(process.execPath, spec.args, {
        detached: true,
        stdio: ['pipe', 'ignore', 'pipe'],
        env: { ...cleanEnvironment(), ...spec.env },
      });
      const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
      running.push({ child, stage: spec.stage, exited });
      return awaitListening(spec.name, child, (error) => {
        if (!stopping) fail(error);
      });
    },
    async stop(graceMs = 4_000) {
      stopping = true;
      const kill = setTimeout(() => {
        for (const { child } of running) child.kill('SIGKILL');
      }, graceMs);
      for (const stage of [...new Set(running.map((entry) => entry.stage))].sort((a, b) => b - a)) {
        const members = running.filter((entry) => entry.stage === stage);
        for (const { child } of members) child.kill('SIGTERM');
        await Promise.all(members.map((entry) => entry.exited));
      }
      clearTimeout(kill);
    },
  };
}

function awaitListening(name: string, child: ChildProcess, endedLater: (error: Error) => void): Promise<Listening> {
  let lastLine = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs);
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const entry = parseLogLine(line);
      lastLine = entry === undefined ? line : String(entry.msg ?? line);
      if (entry?.msg !== 'listening') return;
      clearTimeout(timer);
      resolve(entry);
    });
    child.on('error', (error) => reject(new ChildEnded(name, 'could not be started', error.message)));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const error = new ChildEnded(name, signal ?? `exit ${code}`, lastLine);
      reject(error);
      endedLater(error);
    });
  });
}

function parseLogLine(line: string): Listening | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

// The caller's own telemetry settings would change what the demo promises.
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([key]) => !/^OTEL_|^LOG_LEVEL$|^NODE_V8_COVERAGE$/.test(key));
  return { ...Object.fromEntries(kept), LOG_LEVEL: 'info' };
}
