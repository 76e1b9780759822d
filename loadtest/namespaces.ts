// A pod and the world outside it: two network namespaces with a cable between them, taken down with this process.
import { execFileSync, spawnSync } from 'node:child_process';
import { findProgram } from './children.ts';

export interface Place {
  /** A command line that becomes the program that follows it, in the namespace. */
  readonly enter: readonly string[];
  readonly address: string;
}

export interface Surroundings {
  readonly pod: Place;
  readonly outside: Place;
}

const prefix = 'tracecar-load-';
const made = new Set<string>();

/** Why namespaces cannot be made here, or undefined. */
export function namespacesMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const missing = ['ip', 'iptables', 'setpriv'].filter((program) => findProgram(program) === undefined);
  return missing.length > 0 ? `${missing.join(', ')}: not in PATH` : undefined;
}

/**
 * Makes both namespaces with what Linux gives a new one; nothing is tuned.
 * @param number of this pair, 1 to 254
 */
export function createSurroundings(number: number): Surroundings {
  const names = ['pod', 'outside'].map((role) => `${prefix}${process.pid}-${number}-${role}`) as [string, string];
  for (const name of names) {
    ip('netns', 'add', name);
    made.add(name);
  }
  const [pod, outside] = names;
  ip('link', 'add', 'eth0', 'netns', pod, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  const places = names.map((name, i) => {
    const address = `10.244.${number}.${i === 0 ? 2 : 1}`;
    for (const device of ['lo', 'eth0']) ip('-n', name, 'link', 'set', device, 'up');
    ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    return { enter: ['ip', 'netns', 'exec', name], address };
  });
  return { pod: places[0] as Place, outside: places[1] as Place };
}

/** What a file of /proc/sys says inside, '' when there is none. */
export function kernelValue({ enter }: Place, name: string): string {
  const [file = '', ...args] = [...enter, 'cat', `/proc/sys/${name.replaceAll('.', '/')}`];
  const { stdout } = spawnSync(file, args, { encoding: 'utf8' });
  return stdout.trim().replaceAll(/\s+/g, ' ');
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' });
}

process.once('exit', () => {
  for (const name of made) spawnSync('ip', ['netns', 'delete', name]);
});
