// The worker's side of supervision: the sockets it was given, a sign of life, an end together with the supervisor.
import { openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** Set by the supervisor for its workers. */
export const workerVariable = 'TRACECAR_WORKER';

/** The value of `workerVariable`, as JSON. */
export interface Handover {
  readonly sockets: readonly number[];
  readonly workers: number;
  /** A descriptor that reads to its end when the supervisor is gone. */
  readonly alive: number;
  /** Random: in a pod, containers share the names of abstract sockets but not the numbers of processes. */
  readonly family: string;
}

export interface Worker {
  /** 0 to `workers` - 1. */
  readonly index: number;
  readonly workers: number;
  /** How often this worker has been started again. */
  readonly restarts: number;
  /** How its predecessor ended (`signal 9`, `exit code 1`), '' for the first. */
  readonly predecessorEnded: string;
  /** Descriptors of the listening sockets in the order they were asked for; none when there is no supervisor. */
  readonly sockets: readonly number[];
  /** What the workers of one supervisor have in common, '' without a supervisor. */
  readonly family: string;
  /** Tells the supervisor that this worker serves: one that dies before is started again ever later. */
  listening(): void;
  /** Tells the supervisor that nothing is accepted any more, so that it lets go of the sockets too. */
  stoppedAccepting(): void;
}

/** A worker without a supervisor. */
export const unsupervised: Worker = {
  index: 0,
  workers: 1,
  restarts: 0,
  predecessorEnded: '',
  sockets: [],
  family: '',
  listening() {},
  stoppedAccepting() {},
};

/** The shell does not start a worker again that ends so: it has lost its supervisor. */
const orphanedExitCode = 75;
const beatMs = 1000;

/** The worker that this process is, by what its supervisor has set; undefined when it has none. */
export function joinSupervisor(environment: NodeJS.ProcessEnv): Worker | undefined {
  const handover = environment[workerVariable];
  if (handover === undefined) return undefined;
  const given = JSON.parse(handover) as Handover;
  const { [`${workerVariable}_INDEX`]: index = '0', [`${workerVariable}_RESTARTS`]: restarts = '0' } = environment;
  const predecessorEnded = environment[`${workerVariable}_ENDED`] ?? '';
  // A process started from here is no worker.
  for (const name of ['', '_INDEX', '_RESTARTS', '_ENDED']) delete environment[workerVariable + name];
  const parent = process.ppid;
  const tell = (signal: NodeJS.Signals) => {
    if (process.ppid === parent) process.kill(parent, signal);
  };
  endWithSupervisor(given.alive);
  beat(parent);
  return {
    index: Number(index),
    workers: given.workers,
    restarts: Number(restarts),
    predecessorEnded,
    sockets: given.sockets,
    family: given.family,
    listening: () => tell('SIGUSR2'),
    stoppedAccepting: () => tell('SIGUSR1'),
  };
}

/** The pipe's other end is held by the supervisor alone: it closes when that is gone, whatever ended it. */
function endWithSupervisor(descriptor: number): void {
  const pipe = new Socket({ fd: descriptor, readable: true, writable: false });
  const end = () => process.exit(orphanedExitCode);
  pipe.on('end', end).on('error', end).resume().unref();
}

/** Changes this process's name every second, which the watchdog reads: it stays the same when the event loop stalls. */
function beat(parent: number): void {
  const name = openSync('/proc/self/comm', 'w');
  let count = 0;
  const change = () => {
    if (process.ppid !== parent) process.exit(orphanedExitCode);
    count = (count + 1) % 1000;
    writeSync(name, `tracecar-${count}`);
  };
  change();
  setInterval(change, beatMs).unref();
}
