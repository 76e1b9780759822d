// The outside: programs of the machine, run to their end, and two files of /proc.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface CommandResult {
  /** Exit code; undefined when the program could not be started or was killed. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** There is no such program on PATH. */
  readonly isMissing: boolean;
}

export type Command = readonly [string, ...string[]];

export interface System {
  run(command: Command, input?: string): CommandResult;
  /** The content of a file, or undefined when it cannot be read. */
  readText(path: string): string | undefined;
}

/** Where the tools are, for callers whose PATH is an ordinary user's. */
const toolFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Nothing of iptables takes this long, save one that waits for another's lock. */
const timeoutMs = 60_000;

/**
 * This machine's system. Commands run behind `prefix` when one is given, e.g. `nsenter --net=/run/netns/x`, and so in
 * that network namespace; so does the reading of files.
 */
export function createSystem(prefix: readonly string[] = []): System {
  const run = (command: Command, input = ''): CommandResult => {
    const [program, ...args] = [...prefix, ...command] as [string, ...string[]];
    const env = { ...process.env, LC_ALL: 'C', PATH: [process.env.PATH ?? '', ...toolFolders].join(':') };
    const result = spawnSync(program, args, { input, encoding: 'utf8', env, timeout: timeoutMs });
    // What the command that enters says of a program that is not there: 127 by nsenter, 255 by ip.
    const isAbsentInside =
      (result.status === 127 || result.status === 255) && /No such file or directory/.test(result.stderr ?? '');
    return {
      status: result.status ?? undefined,
      stdout: result.stdout ?? '',
      stderr: result.error === undefined ? (result.stderr ?? '') : `${result.stderr ?? ''}${result.error.message}`,
      isMissing:
        (result.error !== undefined && 'code' in result.error && result.error.code === 'ENOENT') ||
        (prefix.length > 0 && isAbsentInside),
    };
  };
  const readText = (path: string): string | undefined => {
    if (prefix.length > 0) {
      const result = run(['cat', path]);
      return result.status === 0 ? result.stdout : undefined;
    }
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  };
  return { run, readText };
}
