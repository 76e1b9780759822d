// The sidecar of a namespace: a process of its own inside it, exempt from its rules, started again should it die.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../runtime/log.ts';
import { UsageError } from '../../../runtime/usage-error.ts';
import { type FlagValues, type OptionName, options } from '../../../sidecar/options.ts';
import { exemptId, type Identity } from './identity.ts';
import { systemPath, systemProgram } from './requirements.ts';

const firstPauseMs = 200;
const maxPauseMs = 10_000;

export class CapturedSidecar {
  readonly #command: readonly string[];
  readonly #log: Log;
  #child: ChildProcess;
  #stopping = false;
  #pauseMs = firstPauseMs;
  #ended: Promise<number | null>;
  /** Resolves when it ended because it was asked to, by its admin address. */
  readonly quitRequested: Promise<void>;
  #quit = () => {};

  /**
   * Starts it.
   * @param enter the command line that enters the namespace
   */
  constructor(enter: readonly string[], identity: Identity | undefined, flags: FlagValues, log: Log) {
    this.#command = [...enter, ...exempt(identity), ...ownProgram(), 'sidecar', ...flagArguments(flags)];
    this.#log = log;
    this.quitRequested = new Promise((resolve) => {
      this.#quit = resolve;
    });
    this.#child = this.#start();
    this.#ended = this.#watch();
  }

  /** Every process of it has this session's number. */
  get session(): number {
    return this.#child.pid ?? -1;
  }

  /**
   * Resolves when `check` says so.
   * @throws UsageError when the sidecar ends before, or `timeoutMs` have passed
   */
  async ready(check: () => Promise<string>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const missing = await check();
      if (missing === '') return;
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null)
        throw new UsageError(
          `--netns: the sidecar ended (${signalCode ?? `exit code ${exitCode}`}) before it listened`,
        );
      if (performance.now() > deadline) throw new UsageError(`--netns: ${missing}`);
      await sleep(20);
    }
  }

  /** Asks it to deliver its last spans and end; kills what has not ended after `timeoutMs`. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.kill(), timeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#stopping = true;
    this.#child.kill('SIGKILL');
  }

  #start(): ChildProcess {
    const [file = '', ...args] = this.#command;
    // A session of its own: a terminal's Ctrl-C is for the command, whose last calls are to be seen.
    return spawn(file, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      detached: true,
      env: { ...process.env, PATH: systemPath() },
    });
  }

  async #watch(): Promise<number | null> {
    for (;;) {
      const startedMs = performance.now();
      const child = this.#child;
      const code = await new Promise<number | null>((resolve) => {
        child.once('exit', resolve).once('error', () => resolve(null));
      });
      if (code === 0 && !this.#stopping) this.#quit();
      if (this.#stopping || code === 0 || code === 2) return code;
      // Its own supervisor replaces a worker; only that itself can be missing here.
      this.#log.error({ exit_code: code, signal: child.signalCode }, 'the sidecar ended; started again');
      if (performance.now() - startedMs > maxPauseMs) this.#pauseMs = firstPauseMs;
      await sleep(this.#pauseMs);
      this.#pauseMs = Math.min(2 * this.#pauseMs, maxPauseMs);
      if (this.#stopping) return code;
      this.#child = this.#start();
    }
  }
}

/** The command line of this very program, for a command to follow. */
function ownProgram(): readonly string[] {
  return [process.execPath, ...process.execArgv, process.argv[1] ?? ''];
}

/**
 * By its group: the user stays one who can read this program, the certificates and the configuration. Root keeps nothing of
 * root but that.
 */
function exempt(identity: Identity | undefined): readonly string[] {
  const common = [systemProgram('setpriv'), `--regid=${exemptId}`, '--inh-caps=-all', '--no-new-privs'];
  if (identity === undefined) return [...common, '--keep-groups', '--bounding-set=-all,+dac_read_search', '--'];
  return [...common, `--reuid=${identity.uid}`, `--groups=${identity.groups.join(',')}`, '--'];
}

function flagArguments(flags: FlagValues): readonly string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (typeof value !== 'string') return value.map((one) => `--${name}=${one}`);
    const isSwitch = name in options && options[name as OptionName].argument === '';
    return [isSwitch ? `--${name}` : `--${name}=${value}`];
  });
}
