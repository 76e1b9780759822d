// The system calls of Linux that Node does not have: keeping descriptors open across an exec, and the exec itself.
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

export interface System {
  /** Makes `target` a copy of the descriptor that stays open across an exec. */
  copyTo(descriptor: number, target: number): void;
  /** A copy with a number of at least `minimum` that is closed by an exec. */
  copyAbove(descriptor: number, minimum: number): number;
  /** Read end and write end of a new pipe; both are closed by an exec. */
  pipe(): readonly [number, number];
  /** Becomes another program; returns only by throwing. */
  exec(file: string, args: readonly string[], environment: NodeJS.ProcessEnv): never;
}

const duplicateAboveCloseOnExec = 1030;
const closeOnExec = 0o2000000;

/** @throws Error when koffi is not there for this platform */
export function loadSystem(): System {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const libc = koffi.load(null);
  const dup2 = libc.func('int dup2(int, int)');
  const fcntl = libc.func('int fcntl(int, int, ...)');
  const pipe2 = libc.func('int pipe2(_Out_ int *, int)');
  const execve = libc.func('int execve(const char *, const char **, const char **)');
  const done = (call: string, result: number): number => {
    if (result < 0) throw new Error(`${call} failed: error ${koffi.errno()}`);
    return result;
  };
  return {
    copyTo: (descriptor, target) => void done('dup2', dup2(descriptor, target)),
    copyAbove: (descriptor, minimum) => done('fcntl', fcntl(descriptor, duplicateAboveCloseOnExec, 'int', minimum)),
    pipe() {
      const ends: [number, number] = [0, 0];
      done('pipe2', pipe2(ends, closeOnExec));
      return ends;
    },
    exec(file, args, environment) {
      const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
      done('execve', execve(file, [...args, null], [...variables, null]));
      throw new Error('execve came back');
    },
  };
}
