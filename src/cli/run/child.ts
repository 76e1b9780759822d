// A command as a shell would run it: the terminal is its own, signals reach it, and how it ended is an exit code.
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { errorCode, errorMessage } from '../../runtime/usage-error.ts';

const forwarded = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** A terminal sends these to every process in the foreground: the command has them already. */
const fromTerminal: readonly string[] = ['SIGINT', 'SIGQUIT'];

export interface ChildEnd {
  /** As a shell says it: the command's own, 128 + n for signal n, 127 not found, 126 not executable. */
  readonly exitCode: number;
  /** Why the command could not be started, else ''. */
  readonly failure: string;
}

/**
 * Runs a command to its end; signals sent to this process meanwhile are passed on to it.
 * @param quitRequested asks it to end, by SIGTERM
 */
export function runChild(
  command: readonly string[],
  environment: NodeJS.ProcessEnv,
  quitRequested: Promise<void>,
): Promise<ChildEnd> {
  const [file = '', ...args] = command;
  return new Promise((resolve) => {
    let child: ChildProcess;
    const pass = (signal: NodeJS.Signals) => {
      if (!(process.stdin.isTTY && fromTerminal.includes(signal))) child.kill(signal);
    };
    // Installed first: a signal that comes before the command has started must not leave it behind.
    for (const signal of forwarded) process.on(signal, pass);
    const killWithUs = () => child.kill('SIGTERM');
    process.once('exit', killWithUs);
    const ended = (end: ChildEnd) => {
      process.off('exit', killWithUs);
      for (const signal of forwarded) process.off(signal, pass);
      resolve(end);
    };
    child = spawn(file, args, { stdio: 'inherit', env: environment });
    void quitRequested.then(() => child.kill('SIGTERM'));
    child.once('error', (error) => ended(notStarted(file, error)));
    child.once('exit', (code, signal) => {
      ended({ exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), failure: '' });
    });
  });
}

function notStarted(file: string, error: unknown): ChildEnd {
  if (errorCode(error) === 'ENOENT') return { exitCode: 127, failure: `${file}: command not found` };
  if (errorCode(error) === 'EACCES') return { exitCode: 126, failure: `${file}: not executable` };
  return { exitCode: 126, failure: `${file}: ${errorMessage(error)}` };
}
