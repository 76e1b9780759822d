// Starts, pins, watches and ends the processes of one benchmark run.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** Where a process runs: the proxy under test alone on one core, everything else on the other. */
export type Core = 'load' | 'proxy';

const cores: Readonly<Record<Core, string>> = { load: '0', proxy: '1' };
const running = new Set<ChildProcess>();

/** The path of an executable found in PATH, or undefined. */
export function findProgram(name: string): string | undefined {
  const extra = ['/usr/sbin', '/usr/local/sbin', '/sbin'];
  for (const folder of [...(process.env.PATH ?? '').split(path.delimiter), ...extra]) {
    const file = path.join(folder, name);
    if (isExecutable(file)) return file;
  }
  return undefined;
}

/** Whether `file` may be run by this user. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const taskset = findProgram('taskset');

/** Whether proxy and load each get a core of their own. */
export const pinned = taskset !== undefined && availableParallelism() >= 2;

const chrt = findProgram('chrt');

/**
 * In front of a command that is to run only when nobody else on its core wants to. A high nice value does not do:
 * whoever is woken still waits until the slice of milliseconds that is being run has ended.
 */
export const onlyWhenIdle: readonly string[] = chrt === undefined ? [] : [chrt, '--idle', '0'];

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly process: ChildProcess;
}

/** Starts `command` on `core`; what it prints on stderr is kept for the message when it ends too early. */
export function start(name: string, core: Core, command: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  const line = pinned && taskset !== undefined ? [taskset, '-c', cores[core], ...command] : command;
  const [file = '', ...args] = line;
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  if (child.pid === undefined) throw new Error(`${name} could not be started`);
  return { name, pid: child.pid, process: child };
}

/** Starts one of our own programs under the Node that runs this one. */
export function startProgram(name: string, core: Core, file: string, ...args: string[]): Child {
  return start(name, core, [...programCommand(file), ...args]);
}

/** The command line of one of our own programs. */
export function programCommand(file: string): readonly string[] {
  return [process.execPath, path.join(import.meta.dirname, file)];
}

/**
 * The first line of `stream` that `pick` takes, as `pick` returns it; later output is read and forgotten.
 * Rejects when the process ends before, with the last line it wrote on stderr.
 */
export async function awaitLine<T>(
  child: Child,
  stream: 'stdout' | 'stderr',
  pick: (line: string) => T | undefined,
): Promise<T> {
  const { stdout, stderr } = child.process;
  if (stdout === null || stderr === null) throw new Error(`${child.name} has no output to read`);
  let last = '';
  createInterface(stderr).on('line', (line) => {
    last = line;
  });
  const lines = createInterface(stream === 'stdout' ? stdout : stderr);
  if (stream === 'stderr') stdout.resume();
  return await new Promise<T>((resolve, reject) => {
    // After its output has been read to the end: what it prints last may be the line.
    child.process.once('close', (code) => reject(new Error(`${child.name} ended with code ${code}: ${last}`)));
    lines.on('line', (line) => {
      const found = pick(line);
      if (found !== undefined) resolve(found);
    });
  });
}

/** Reads what a program prints, a JSON value a line, one at a call; rejects when the program ends before. */
export function jsonLines<T>(child: Child): () => Promise<T> {
  const { stdout, stderr } = child.process;
  if (stdout === null || stderr === null) throw new Error(`${child.name} has no output to read`);
  let last = '';
  createInterface(stderr).on('line', (line) => {
    last = line;
  });
  const values = createInterface(stdout)[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await values.next();
    if (done === true) throw new Error(`${child.name} ended: ${last}`);
    return JSON.parse(value) as T;
  };
}

/** Waits, at most ten seconds, until something accepts connections on the loopback port. */
export async function awaitPort(child: Child, port: number): Promise<void> {
  let last = '';
  child.process.stdout?.resume();
  child.process.stderr?.on('data', (chunk: Buffer) => {
    last = chunk.toString().trim().split('\n').at(-1) ?? last;
  });
  const deadline = Date.now() + 10_000;
  while (!(await accepts(port))) {
    if (child.process.exitCode !== null || Date.now() > deadline) throw new Error(`${child.name}: ${last}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function accepts(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A loopback port nobody listens on; for servers that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** Ends a child: SIGTERM, after five seconds SIGKILL. */
export async function stop(child: Child): Promise<void> {
  const { process: running } = child;
  if (running.exitCode !== null || running.signalCode !== null) return;
  const ended = new Promise((resolve) => running.once('exit', resolve));
  running.kill('SIGTERM');
  const timer = setTimeout(() => running.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(timer);
}

process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
