// The programs of other people that these tests run: found or skipped with a reason, started, read, and ended.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from '../../../support/eventually.ts';

/** Where Debian puts servers that are not on a user's PATH. */
const serverFolders = ['/usr/sbin', '/usr/local/sbin', ...folders('/usr/lib/postgresql')];

function folders(parent: string): string[] {
  return existsSync(parent) ? readdirSync(parent).map((version) => path.join(parent, version, 'bin')) : [];
}

/** The full path of a program, or undefined. */
export function find(name: string): string | undefined {
  const places = [...(process.env.PATH ?? '').split(path.delimiter), ...serverFolders];
  return places.map((place) => path.join(place, name)).find((file) => existsSync(file));
}

/** The `skip` option of a test that needs these programs: why it is skipped, or false. */
export function absent(...names: readonly string[]): string | false {
  const missing = names.filter((name) => find(name) === undefined);
  return missing.length > 0 ? `${missing.join(', ')}: not installed` : false;
}

/** The Python to use: the one `npm run test:real` filled with client libraries, else the system's. */
export const python = process.env.PYTHON_CLIENTS ?? 'python3';

/** The same as `absent` for modules of Python. */
export function absentModules(...modules: readonly string[]): string | false {
  const { status } = spawnSync(python, ['-c', `import ${modules.join(', ')}`]);
  return status === 0 ? false : `Python has no ${modules.join(', ')}`;
}

export interface Result {
  readonly code: number | null;
  /** Bytes as latin1. */
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end; it is killed after `timeoutMs` (60,000), which shows as code null. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = spawn(find(command) ?? command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
  const closed = once(child, 'close');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A program may end without reading what it is given.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  const [code] = (await closed) as [number | null];
  clearTimeout(timer);
  return { code, stdout, stderr };
}

/** Requires the same output and exit code, and shows where they part: outputs here may have megabytes. */
export function assertAlike(through: Result, direct: Result, what = 'through the sidecar and directly'): void {
  for (const part of ['stdout', 'stderr'] as const) {
    const [a, b] = [through[part], direct[part]];
    if (a === b) continue;
    let at = 0;
    while (a[at] === b[at]) at++;
    const shown = [a, b].map((text) => JSON.stringify(text.slice(Math.max(0, at - 60), at + 200)));
    assert.fail(`${what}: ${part} differs at ${at} of ${a.length} and ${b.length}:\n${shown.join('\n')}`);
  }
  assert.equal(through.code, direct.code, what);
}

export interface Server {
  readonly port: number;
  readonly process: ChildProcess;
  /** What it has written to stdout and stderr so far. */
  output(): string;
}

/** A port of 127.0.0.1 that was free a moment ago, for servers that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a server that will listen on `port`; resolves once it accepts connections. It ends with the test. */
export async function startServer(
  t: TestContext,
  port: number,
  command: string,
  args: readonly string[],
  options: Omit<RunOptions, 'input'> & { readonly endSignal?: NodeJS.Signals } = {},
): Promise<Server> {
  const child = spawn(find(command) ?? command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  t.after(async () => {
    child.kill(options.endSignal ?? 'SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(timer);
  });
  await eventually(
    () => `${command} listens on ${port}; it said: ${output.slice(-2000)}`,
    () => {
      if (child.exitCode !== null) throw new Error(`${command} ended (${child.exitCode}): ${output.slice(-2000)}`);
      return accepts(port);
    },
    options.timeoutMs ?? 30_000,
  );
  return { port, process: child, output: () => output };
}

function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).then((connected) => {
    socket.destroy();
    return connected === true;
  });
}

/** An empty folder that goes with the test. Servers that give up root can read it. */
export function temporaryFolder(t: TestContext, name: string): string {
  const folder = mkdtempSync(path.join(tmpdir(), `tracecar-${name}-`));
  chmodSync(folder, 0o755);
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
