// Open-loop load: arrivals on a schedule, latency from the moment each was due. In Go where there is Go, else on Node.
// Not wrk or h2load: they count from when a request was sent, so that a stalled proxy also stops the clock.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { awaitLine, findProgram, programCommand, start } from './children.ts';
import { Histogram } from './histogram.ts';

export interface OpenLoad {
  /** An IPv4 address; 127.0.0.1 when not given. */
  readonly host?: string;
  readonly port: number;
  /** At most so many connections at a time. */
  readonly connections: number;
  /** Requests per second; 0: the next as soon as a connection is free. */
  readonly rate: number;
  readonly seconds: number;
  /** Seconds before the counted ones. */
  readonly warmUp: number;
  /** When above 0: ends after so many requests, whatever `seconds` says. */
  readonly total: number;
  /** A new connection for each request, which is to be closed by the server. */
  readonly close: boolean;
  /** Above 1: connects from 127.0.0.1 to 127.0.0.N in turn. */
  readonly sources: number;
  /** Raw requests, sent in turn. */
  readonly requests: readonly string[];
}

export interface OpenLoadResult {
  readonly sent: number;
  readonly answered: number;
  /** Failed requests by reason: connect, reset, closed early, status, write, timeout, unexpected bytes. */
  readonly errors: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly durationUs: number;
  readonly latency: Histogram;
  /** How late the generator noticed that a request was due; a wait for a free connection is not in it. */
  readonly late: Histogram;
}

export interface OpenLoop {
  readonly name: string;
  /** Runs one load to its end; answers that miss after ten seconds are failures. */
  run(load: OpenLoad): Promise<OpenLoadResult>;
}

export const steadyLoad = { connections: 32, warmUp: 0.5, total: 0, close: false, sources: 1 } as const;

const heatSeconds = 3;

/** Loads a proxy as fast as it answers, at most `seconds`: what runs on a JIT is then compiled. */
export async function heat(generator: OpenLoop, port: number, seconds: number): Promise<void> {
  const requests = ['GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'];
  await generator.run({ ...steadyLoad, port, rate: 0, seconds: Math.min(heatSeconds, seconds), warmUp: 0, requests });
}

let runs = 0;

/**
 * The generator this machine can have; compiled into .cache, its settings written into `folder`.
 * @param enter a command line that becomes the program that follows it: where the generator runs
 */
export function createOpenLoop(folder: string, enter: readonly string[] = []): OpenLoop {
  const compiled = compile();
  return {
    name: compiled === undefined ? 'own client on Node (no Go: it may send a millisecond late)' : 'own client in Go',
    run: async (load) => {
      runs += 1;
      const file = path.join(folder, `open-loop-${runs}.json`);
      writeFileSync(file, JSON.stringify(load));
      const command = compiled === undefined ? programCommand('programs/open-loop-client.js') : [compiled];
      const child = start('open-loop', 'load', [...enter, ...command, file]);
      return await awaitLine(child, 'stdout', readResult);
    },
  };
}

/** Undefined without Go, and with LOAD_WITHOUT_GO set: to see what a machine without it does. */
function compile(): string | undefined {
  const go = findProgram('go');
  if (go === undefined || process.env.LOAD_WITHOUT_GO !== undefined) return undefined;
  mkdirSync('.cache', { recursive: true });
  const program = path.resolve('.cache', 'open-loop');
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0' };
  try {
    execFileSync(go, ['build', '-o', program, '.'], { cwd: path.resolve('loadtest', 'open-loop'), env, stdio: 'pipe' });
    return program;
  } catch (error) {
    process.stderr.write(
      `load: the Go generator does not compile: ${String(error).split('\n').slice(0, 3).join(' ')}\n`,
    );
    return undefined;
  }
}

interface Printed {
  readonly sent: number;
  readonly answered: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly durationUs: number;
  readonly maxUs: number;
  readonly latency: readonly [number, number][];
  readonly late: readonly [number, number][];
}

function readResult(line: string): OpenLoadResult | undefined {
  if (!line.startsWith('{')) return undefined;
  const { sent, answered, errors, durationUs, maxUs, latency, late } = JSON.parse(line) as Printed;
  const failed = Object.values(errors).reduce((total, count) => total + count, 0);
  return { sent, answered, errors, failed, durationUs, latency: histogram(latency, maxUs), late: histogram(late, 0) };
}

function histogram(pairs: readonly [number, number][], maxUs: number): Histogram {
  const made = new Histogram();
  made.addBuckets(pairs);
  made.maxUs = maxUs;
  return made;
}
