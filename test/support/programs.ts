// Starts `tracecar` as users do, as its own process, and ends it with the test.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Program {
  /** The fields of the `listening` log line. */
  readonly listening: Readonly<Record<string, unknown>>;
  readonly process: ChildProcess;
  readonly exited: Promise<Exit>;
  /** The log lines so far. */
  readonly stderr: readonly string[];
  /** Sends a signal (SIGTERM) and resolves with how the program ended. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

export interface Finished extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** `node` arguments that run the program: the compiled one when it is newer than every source, else the sources. */
export const programArguments: readonly string[] = isBuilt()
  ? [path.join(root, 'dist', 'cli', 'main.js')]
  : ['--import', 'tsx', path.join(root, 'src', 'cli', 'main.ts')];

function isBuilt(): boolean {
  const stamp = path.join(root, 'dist', '.built');
  if (!existsSync(stamp)) return false;
  const builtMs = statSync(stamp).mtimeMs;
  return readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' }).every(
    (file) => statSync(path.join(root, 'src', file)).mtimeMs <= builtMs,
  );
}

function environment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([key]) => !/^OTEL_|^NODE_TEST|^NODE_OPTIONS$/.test(key));
  return { ...Object.fromEntries(kept), LOG_LEVEL: 'info', ...extra };
}

/**
 * Starts a command that keeps running; resolves once it listens, rejects with its last words when it ends before.
 * @param prefix a command line that becomes the program that follows it, as `ip netns exec NAME` does
 */
export function startProgram(
  t: TestContext,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  prefix: readonly string[] = [],
): Promise<Program> {
  const [file = '', ...before] = [...prefix, process.execPath];
  const child = spawn(file, [...before, ...programArguments, ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: environment(env),
  });
  const exited = new Promise<Exit>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const stderr: string[] = [];
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stderr! }).on('line', (line) => {
      stderr.push(line);
      const listening = parseListening(line);
      if (listening === undefined) return;
      resolve({
        listening,
        process: child,
        exited,
        stderr,
        stop(signal = 'SIGTERM') {
          child.kill(signal);
          return exited;
        },
      });
    });
    child.once('error', reject);
    void exited.then(({ code, signal }) =>
      reject(new Error(`tracecar ${args.join(' ')} ended (${signal ?? code}): ${stderr.join('\n')}`)),
    );
  });
}

export function parseListening(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  const entry: unknown = JSON.parse(line);
  const found = typeof entry === 'object' && entry !== null && 'msg' in entry && entry.msg === 'listening';
  return found ? { ...entry } : undefined;
}

/** Runs a command to its end; it is killed after `timeoutMs`, which shows as signal SIGKILL. */
export function runProgram(
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly timeoutMs?: number;
    readonly prefix?: readonly string[];
  } = {},
): Promise<Finished> {
  const [file = '', ...before] = [...(options.prefix ?? []), process.execPath];
  const child = spawn(file, [...before, ...programArguments, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(options.env ?? {}),
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}
