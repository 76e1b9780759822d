// A namespace and the shell that keeps it: made at once, and gone when this process closes it or is gone itself.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { UsageError } from '../../../runtime/usage-error.ts';
import { chooseV4, chooseV6, destinationsOf, type Pair, type Route } from './addresses.ts';
import { type KeeperSettings, keeperScript } from './keeper-script.ts';
import { systemPath, systemProgram } from './requirements.ts';

export interface Namespace {
  readonly name: string;
  /** Where /run/netns shows it. */
  readonly file: string;
  /** A folder of this run's own, which goes with it; whoever needs it makes it. */
  readonly folder: string;
  readonly v4: Pair;
  readonly v6: Pair | undefined;
  /** The command line that enters it; what follows becomes that process. */
  readonly enter: readonly string[];
  /** Takes all down, what still runs inside first; resolves with what could not be removed. */
  remove(): Promise<readonly string[]>;
}

export type Random = (limit: number) => number;

const namedBytes = 0x1000000;

/**
 * Makes a network namespace that reaches what the machine reaches.
 * @throws UsageError when that cannot be done; nothing of it is left then
 */
export async function makeNamespace(withV6: boolean, random: Random): Promise<Namespace> {
  const id = random(namedBytes).toString(16).padStart(6, '0');
  const name = `tracecar-${id}`;
  const routesV4 = readRoutes('-4');
  const routesV6 = withV6 ? readRoutes('-6') : [];
  const v4 = chooseV4(routesV4, random);
  const v6 = withV6 ? chooseV6(random) : undefined;
  const settings: KeeperSettings = {
    name,
    link: `tracecar${id}`,
    chain: `TRACECAR_RUN_${id}`,
    host4: v4.host,
    inside4: v4.inside,
    prefix4: v4.prefixLength,
    subnet4: v4.subnet,
    routes4: destinationsOf(routesV4).join(' '),
    host6: v6?.host ?? '',
    inside6: v6?.inside ?? '',
    prefix6: v6?.prefixLength ?? 0,
    subnet6: v6?.subnet ?? '',
    routes6: destinationsOf(routesV6).join(' '),
    only_down: '',
  };
  const keeper = startKeeper(settings);
  const [first = 'the shell ended'] = await keeper.firstLine;
  if (first !== 'ready') {
    await keeper.ended;
    throw new UsageError(`--netns: ${first.replace(/^failed /, '')}`);
  }
  return {
    name,
    file: `/run/netns/${name}`,
    folder: `/run/${name}`,
    v4,
    v6,
    enter: [systemProgram('nsenter'), `--net=/run/netns/${name}`, '--'],
    remove: () => remove(keeper, settings),
  };
}

interface Keeper {
  /** Empty when it ended without a word. */
  readonly firstLine: Promise<readonly string[]>;
  readonly lines: readonly string[];
  /** Resolves with whether it ended by itself, after its last line. */
  readonly ended: Promise<boolean>;
  close(): void;
}

function startKeeper(settings: KeeperSettings): Keeper {
  // In a session of its own: what ends this process, from a terminal or by its group, must not end what cleans up.
  const child = spawn('/bin/sh', ['-s', settings.name], {
    stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
    detached: true,
    cwd: '/',
    env: { ...process.env, PATH: systemPath() },
  });
  const life = child.stdio[3] as Writable & Readable;
  for (const stream of [child.stdin!, life]) stream.on('error', () => {});
  child.stdin!.end(keeperScript(settings));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout! }).on('line', (line) => lines.push(line));
  const ended = new Promise<boolean>((resolve) => {
    child.once('close', (code) => resolve(code !== null));
    child.once('error', () => resolve(false));
  });
  const firstLine = Promise.race([once(reader, 'line') as Promise<string[]>, ended.then(() => [])]);
  return { firstLine, lines, ended, close: () => life.destroy() };
}

async function remove(keeper: Keeper, settings: KeeperSettings): Promise<readonly string[]> {
  let last = keeper;
  keeper.close();
  if (!(await keeper.ended)) {
    // Somebody has killed it; another one does its work.
    last = startKeeper({ ...settings, only_down: 'yes' });
    await last.ended;
  }
  return last.lines.filter((line) => line.startsWith('left ')).map((line) => line.slice('left '.length));
}

function readRoutes(family: '-4' | '-6'): readonly Route[] {
  const text = execFileSync('ip', ['-json', family, 'route', 'show', 'table', 'all'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: systemPath() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Without any route some versions print nothing.
  return text.trim() === '' ? [] : (JSON.parse(text) as Route[]);
}
