// A machine of a test's own for `run --netns`: a namespace with a network behind it, the collector on its loopback.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import http from 'node:http';
import type { Server } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { NamespaceSockets } from '../../../../src/cli/run/netns/namespace-sockets.ts';
import { TcpRelay } from '../../../../src/cli/run/netns/tcp-relay.ts';
import { eventually } from '../../../support/eventually.ts';
import { connectNamespaces, createNamespace, type Namespace } from '../../../support/network-namespace.ts';
import { type OtlpSink, startOtlpSink } from '../../../support/otlp-sink.ts';
import {
  type Exit,
  type Finished,
  type Program,
  parseListening,
  programArguments,
  root,
  runProgram,
} from '../../../support/programs.ts';

export const world = { v4: '198.51.100.2', v6: '2001:db8::2' } as const;
export const machineAddress = { v4: '198.51.100.1', v6: '2001:db8::1' } as const;

export interface Machine {
  readonly namespace: Namespace;
  /** Sockets of the machine, and of the network behind it, in this process. */
  readonly sockets: NamespaceSockets;
  readonly worldSockets: NamespaceSockets;
  readonly sink: OtlpSink;
  /** The command line that becomes a program of the machine; unlike `ip netns exec` it keeps the mounts. */
  readonly enter: readonly string[];
  /** Runs `tracecar run --netns FLAGS -- COMMAND` to its end. */
  run(command: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Starts it; resolves once the command has been started. */
  start(command: readonly string[], flags?: readonly string[]): Promise<Program>;
}

export interface RunOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Between the machine and the program. */
  readonly before?: readonly string[];
}

const collectorPort = 4318;

/** Makes the machine with an address of each family, `world` being all it reaches; it goes with the test. */
export async function startMachine(t: TestContext): Promise<Machine> {
  const started: ChildProcess[] = [];
  let name = '';
  // Before the machine goes, which would take with it what cleans up after a run.
  t.after(async () => {
    for (const child of started) child.kill('SIGKILL');
    await eventually('the end of every run', () => processesIn(name) === '', 30_000);
  });
  const namespace = await createNamespace(t, 'machine');
  name = namespace.name;
  const behind = await createNamespace(t, 'world');
  await connectNamespaces(
    { namespace, device: 'eth0', addresses: [`${machineAddress.v4}/24`, `${machineAddress.v6}/64`] },
    { namespace: behind, device: 'eth0', addresses: [`${world.v4}/24`, `${world.v6}/64`] },
  );
  const [sockets, worldSockets] = [namespace, behind].map(({ name }) => new NamespaceSockets(`/run/netns/${name}`));
  const sink = await startOtlpSink(t);
  const here = sockets!.tcp({ host: '127.0.0.1', port: collectorPort });
  const relay = await TcpRelay.open(here, 'a test', { host: '127.0.0.1', port: sink.port });
  t.after(() => {
    relay.close();
    sockets!.close();
    worldSockets!.close();
  });
  const enter = ['nsenter', `--net=/run/netns/${namespace.name}`, '--'];
  const export_ = ['--otlp-endpoint', `http://127.0.0.1:${collectorPort}`, '--otlp-protocol', 'http/protobuf'];
  const args = (flags: readonly string[], command: readonly string[]) => [
    'run',
    '--netns',
    ...export_,
    '--schedule-delay',
    '50',
    ...flags,
    '--',
    ...command,
  ];
  return {
    namespace,
    sockets: sockets!,
    worldSockets: worldSockets!,
    sink,
    enter,
    run: (command, { flags = [], env = {}, before = [] } = {}) =>
      runProgram(args(flags, command), {
        prefix: [...enter, ...before],
        env: { LOG_LEVEL: 'warn', ...env },
        timeoutMs: 120_000,
      }),
    start: (command, flags = []) => {
      const [file = '', ...before] = [...enter, process.execPath, ...programArguments];
      const child = spawn(file, [...before, ...args(flags, command)], {
        cwd: root,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, LOG_LEVEL: 'info' },
      });
      started.push(child);
      return listening(child);
    },
  };
}

/** Serves HTTP in a namespace, from this process: each request is answered with what `describe` makes of it. */
export async function serveHttp(
  t: TestContext,
  sockets: NamespaceSockets,
  where: { readonly host: string; readonly port: number },
  describe: (request: http.IncomingMessage) => string,
): Promise<void> {
  const server = http.createServer((request, response) => response.end(describe(request)));
  await listenThere(t, server, sockets, where);
}

/** Lets any server of this process listen in a namespace. */
export async function listenThere(
  t: TestContext,
  server: Server,
  sockets: NamespaceSockets,
  where: { readonly host: string; readonly port: number },
): Promise<void> {
  server.listen({ fd: sockets.tcp(where).descriptor! });
  await once(server, 'listening');
  t.after(async () => {
    if (server instanceof http.Server) server.closeAllConnections();
    server.close();
  });
}

/** The state of a machine that a run must leave as it found it. Rules without counters, and without tables that are empty. */
export async function stateOf({ namespace }: Machine): Promise<Readonly<Record<string, string>>> {
  const state: Record<string, string> = {};
  for (const [name, command] of Object.entries({
    links: 'ip -br link',
    addresses: 'ip -o address | grep -v fe80:',
    // A link-local address comes by itself, a second after its device.
    routes: 'ip route show table all | grep -v fe80:',
    rules: 'for p in iptables ip6tables; do $p-save; done | grep -v -e "^[#*:]" -e COMMIT',
    chains: 'for p in iptables ip6tables; do $p-save; done | grep "^:" | grep " - "',
    settings:
      'cd /proc/sys/net; grep -r . ipv4/ip_forward ipv4/conf/*/forwarding ipv6/conf/*/forwarding ipv6/conf/*/accept_ra',
  })) {
    state[name] = (await namespace.attempt('sh', '-c', command)).stdout;
  }
  return state;
}

/** Whether a process does anything any more: one that nobody has waited for is still there. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** What there is of a run with that namespace: its name, its files, processes in it, and processes that know its name. */
export function tracesOf(name: string, inode: number): readonly string[] {
  const files = [`/run/netns/${name}`, `/run/${name}`].filter((file) => existsSync(file));
  const processes = readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const isInside = readlinkSync(`/proc/${pid}/ns/net`) === `net:[${inode}]`;
      return isInside || command.includes(name) ? [`${pid}: ${command}`] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
  return [...files, ...processes];
}

/** The number by which the kernel knows a run's namespace. */
export function inodeOf(name: string): number {
  return statSync(`/run/netns/${name}`).ino;
}

function processesIn(namespace: string): string {
  return spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' }).stdout;
}

/** As `startProgram` does; the sidecar, which is another process, says that it listens on the same stream. */
async function listening(child: ChildProcess): Promise<Program> {
  const exited = new Promise<Exit>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
  const stderr: string[] = [];
  const reader = createInterface({ input: child.stderr! }).on('line', (line) => stderr.push(line));
  const ended = exited.then(() => undefined);
  for (;;) {
    for (const line of stderr) {
      const fields = parseListening(line);
      if (fields?.program !== 'run') continue;
      const stop = (signal: NodeJS.Signals = 'SIGTERM') => {
        child.kill(signal);
        return exited;
      };
      return { listening: fields, process: child, exited, stderr, stop };
    }
    const next = await Promise.race([once(reader, 'line'), ended]);
    if (next === undefined) throw new Error(`${child.spawnargs.join(' ')} ended: ${stderr.join('\n')}`);
  }
}

/** Starts the program without waiting for anything, for what ends it while it starts. */
export function spawnRun(t: TestContext, { enter }: Machine, command: readonly string[]): ChildProcess {
  const [file = '', ...before] = [...enter, process.execPath, ...programArguments];
  const args = ['run', '--netns', '--otlp-endpoint', 'http://127.0.0.1:9', '--', ...command];
  const child = spawn(file, [...before, ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}
