// Turns this process into its own supervisor: binds every listening socket, then becomes a small shell that keeps the
// workers running on them. A socket that nobody has to bind again loses no connection while a worker is replaced.

import { randomBytes } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { accessSync, constants } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Address } from '../address.ts';
import { listen } from '../listen.ts';
import { descriptorOf } from '../socket/descriptor.ts';
import { errorMessage } from '../usage-error.ts';
import { loadSystem, type System } from './system.ts';
import { type Handover, workerVariable } from './worker.ts';
import { youngGeneration } from './young-generation.ts';

export interface ListenRequest {
  readonly address: Address;
  /** Names the flag in the error of an address that cannot be bound. */
  readonly what: string;
}

const shell = '/bin/sh';
const script = fileURLToPath(new URL('./supervise.sh', import.meta.url));
const pipeWriteEnd = 3;
const pipeReadEnd = 4;
const standardInput = 9;
/** Sockets from here on; a POSIX shell can close only descriptors of one digit, so the low ones go first. */
const firstSocket = 5;

/**
 * Becomes the supervisor of `workers` copies of this very program, which find their sockets, in the order of `requests`,
 * by `joinSupervisor`. Returns only when that cannot be done here, with the reason; nothing is left bound then.
 * @throws UsageError when an address cannot be bound
 */
export async function supervise(requests: readonly ListenRequest[], workers: number): Promise<string> {
  const system = findSystem();
  if (typeof system === 'string') return system;
  const addresses = await Promise.all(requests.map(({ address }) => resolveHost(address)));
  const servers: Server[] = [];
  try {
    // Addresses are numbers now, so this is done within one turn of the event loop: nothing can be accepted here.
    for (const [i, { what }] of requests.entries()) {
      const server = createServer();
      servers.push(server);
      await listen(server, addresses[i]!, what);
    }
    const sockets = servers.map(descriptorOf);
    if (sockets.includes(undefined)) return closeAll(servers, 'this Node does not show the descriptors of its sockets');
    return becomeShell(system, sockets as number[], workers);
  } catch (error) {
    closeAll(servers, '');
    throw error;
  }
}

/** The system calls, or why they, or what else a supervisor needs, are not here. */
function findSystem(): System | string {
  if (process.env.TRACECAR_SUPERVISOR === 'off') return 'TRACECAR_SUPERVISOR=off';
  if (process.platform !== 'linux') return `${process.platform} has no /proc`;
  try {
    accessSync(shell, constants.X_OK);
    accessSync(script, constants.R_OK);
    accessSync('/proc/self/comm', constants.W_OK);
  } catch (error) {
    return errorMessage(error);
  }
  try {
    return loadSystem();
  } catch (error) {
    return `koffi: ${errorMessage(error).split('\n', 1)[0]}`;
  }
}

async function resolveHost(address: Address): Promise<Address> {
  // What does not resolve is told by the attempt to listen there.
  const found = await lookup(address.host).catch(() => undefined);
  return found === undefined ? address : { ...address, host: found.address };
}

function closeAll(servers: readonly Server[], reason: string): string {
  for (const server of servers) server.close();
  return reason;
}

function becomeShell(system: System, sockets: readonly number[], workers: number): never {
  const [readEnd, writeEnd] = system.pipe();
  const moves: [number, number][] = [
    // Node marks these, too, to be closed by an exec.
    [0, 0],
    [1, 1],
    [2, 2],
    [writeEnd, pipeWriteEnd],
    [readEnd, pipeReadEnd],
    [0, standardInput],
  ];
  let next = firstSocket;
  const given = sockets.map((socket) => {
    if (next === standardInput) next++;
    moves.push([socket, next]);
    return next++;
  });
  // First all out of the way, then each to its place: a place may be another's number now.
  const aside = Math.max(next, standardInput + 1);
  for (const move of moves) move[0] = system.copyAbove(move[0], aside);
  for (const [from, to] of moves) system.copyTo(from, to);
  const command = [
    process.execPath,
    ...youngGeneration(),
    ...process.execArgv,
    process.argv[1]!,
    ...process.argv.slice(2),
  ];
  const family = randomBytes(8).toString('hex');
  const handover: Handover = { sockets: given, workers, alive: pipeReadEnd, family };
  const environment = { ...process.env, [workerVariable]: JSON.stringify(handover) };
  return system.exec(shell, ['sh', script, String(workers), ...command], environment);
}
