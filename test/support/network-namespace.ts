// Network namespaces of a test's own: made, joined by veth pairs, given addresses, and taken down whatever happens.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

/** What takes a namespace down: a test, or `{ after }` of node:test for a whole file. */
export type Lifetime = Pick<TestContext, 'after'>;

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Namespace {
  readonly name: string;
  /** The command line that runs a program inside; the process it starts becomes that program. */
  readonly enter: readonly string[];
  /** Runs a program inside to its end; rejects with what it said when it ends with another code than 0. */
  run(...command: readonly string[]): Promise<string>;
  /** The same, whatever its end. */
  attempt(...command: readonly string[]): Promise<Output>;
}

const prefix = 'tracecar-test-';
/** The ones of this process, for an exit that no test sees coming. */
const mine = new Set<string>();
let made = 0;

/** What a kernel must have: some are built without a part of it. */
const needed = [
  'iptables -t nat -A OUTPUT -p tcp -m owner --uid-owner 1 -j REDIRECT --to-ports 1',
  'ip6tables -t nat -A OUTPUT -p tcp -m owner --uid-owner 1 -j REDIRECT --to-ports 1',
  'iptables -t mangle -A PREROUTING -p tcp -j TPROXY --on-port 1 --tproxy-mark 1',
  'ip link add probe0 type veth peer name probe1',
];

/** Why tests with namespaces cannot run here, or false. */
export const noNamespaces: string | false = findObstacle();

function findObstacle(): string | false {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const missing = ['ip', 'iptables', 'ip6tables', 'setpriv'].filter(
    (program) => spawnSync(program, ['--version']).error !== undefined,
  );
  if (missing.length > 0) return `${missing.join(', ')}: not installed`;
  sweep();
  const probe = `${prefix}${process.pid}-probe`;
  const { status, stderr } = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  if (status !== 0) return `no namespace can be made: ${stderr.trim()}`;
  const rules = spawnSync('ip', ['netns', 'exec', probe, 'sh', '-c', needed.join(' && ')], { encoding: 'utf8' });
  takeDown(probe);
  return rules.status === 0 ? false : `iptables does not work in a namespace: ${rules.stderr.trim().split('\n')[0]}`;
}

/** Takes down what a killed run has left behind. */
function sweep(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const [, name = '', pid = ''] of stdout.matchAll(/^(tracecar-test-(\d+)-\S+)/gm)) {
    try {
      process.kill(Number(pid), 0);
    } catch {
      takeDown(name);
    }
  }
}

/** Ends what still runs inside, and the namespace with its devices, addresses and rules. */
function takeDown(name: string): void {
  mine.delete(name);
  const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
  for (const pid of stdout.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  spawnSync('ip', ['netns', 'delete', name]);
}

process.once('exit', () => {
  for (const name of mine) takeDown(name);
});

/** Makes a namespace with its loopback device up; it goes with `lifetime`, and all that runs inside with it. */
export async function createNamespace(lifetime: Lifetime, label: string): Promise<Namespace> {
  const name = `${prefix}${process.pid}-${++made}-${label}`;
  mine.add(name);
  lifetime.after(() => takeDown(name));
  await run(['ip', 'netns', 'add', name]);
  const enter = ['ip', 'netns', 'exec', name];
  const namespace: Namespace = {
    name,
    enter,
    run: (...command) => run([...enter, ...command]),
    attempt: (...command) => attempt([...enter, ...command]),
  };
  await namespace.run('ip', 'link', 'set', 'lo', 'up');
  return namespace;
}

/** One end of a cable. */
export interface End {
  readonly namespace: Namespace;
  /** Name of the device, at most 15 characters. */
  readonly device: string;
  /** With prefix length, IPv4 or IPv6. */
  readonly addresses: readonly string[];
}

/** Lays a veth pair between two namespaces; the machine's own never sees it. */
export async function connectNamespaces(a: End, b: End): Promise<void> {
  const peer = ['peer', 'name', b.device, 'netns', b.namespace.name];
  await run(['ip', 'link', 'add', a.device, 'netns', a.namespace.name, 'type', 'veth', ...peer]);
  for (const { namespace, device, addresses } of [a, b]) {
    await namespace.run('ip', 'link', 'set', device, 'up');
    for (const address of addresses) await addAddress(namespace, device, address);
  }
}

/** Gives a device an address, usable at once. */
export async function addAddress(namespace: Namespace, device: string, address: string): Promise<void> {
  // Without nodad a v6 address cannot be used for a second.
  const options = address.includes(':') ? ['nodad'] : [];
  await namespace.run('ip', 'address', 'add', address, 'dev', device, ...options);
}

/** Sets kernel parameters of a namespace, for example `net.ipv4.ip_forward=1`. */
export async function setParameters(namespace: Namespace, ...settings: readonly string[]): Promise<void> {
  for (const setting of settings) {
    const [name = '', value = ''] = setting.split('=');
    await namespace.run('sh', '-c', `echo ${value} >/proc/sys/${name.replaceAll('.', '/')}`);
  }
}

/** Starts a program inside that keeps running; it is killed with `lifetime`. */
export function spawnInside(
  lifetime: Lifetime,
  { enter }: Namespace,
  command: readonly string[],
  options: { readonly cwd?: string; readonly channel?: boolean } = {},
): ChildProcess {
  const [file = '', ...args] = [...enter, ...command];
  const child = spawn(file, args, {
    cwd: options.cwd,
    stdio: ['ignore', 'inherit', 'inherit', ...(options.channel === true ? (['ipc'] as const) : [])],
  });
  lifetime.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  return child;
}

async function run(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await attempt(command);
  if (code === 0) return stdout;
  throw new Error(`${command.join(' ')} ended with ${code}: ${stderr.trim() || stdout.trim()}`);
}

async function attempt([file = '', ...args]: readonly string[]): Promise<Output> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
