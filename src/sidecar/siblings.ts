// The other workers of the same supervisor: each answers for itself on a socket of its own, so that any can for all.
import { request, type Server } from 'node:http';
import { createRouteServer, type Routes } from '../runtime/http-routes.ts';
import type { Log } from '../runtime/log.ts';
import type { Worker } from '../runtime/supervisor/worker.ts';
import { errorMessage } from '../runtime/usage-error.ts';

export interface Gathered {
  /** The JSON answers of the others, by the number of the worker. */
  readonly answers: ReadonlyMap<number, unknown>;
  /** Workers that are dead or gave no answer in time, in order. */
  readonly missing: readonly number[];
}

const patienceMs = 1_000;

export class Siblings {
  readonly #worker: Worker;
  #server: Server | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Starts to answer the others. Without that they leave this one out, and say so. */
  listen(routes: Routes, log: Log): void {
    if (this.#worker.workers === 1) return;
    const failed = (error: unknown) => log.warn({ error: errorMessage(error) }, 'cannot answer the other workers');
    this.#server = createRouteServer(routes, failed).on('error', failed).listen(this.#nameOf(this.#worker.index));
    this.#server.unref();
  }

  close(): void {
    this.#server?.close();
  }

  /** Asks every other worker at once; one that is dead or stalled costs a second at most. */
  async ask(method: 'GET' | 'POST', path: string): Promise<Gathered> {
    const { workers, index } = this.#worker;
    const others = Array.from({ length: workers }, (_, i) => i).filter((i) => i !== index);
    const answers = new Map<number, unknown>();
    await Promise.all(
      others.map((other) =>
        askOne(this.#nameOf(other), method, path).then(
          (answer) => answers.set(other, answer),
          () => undefined,
        ),
      ),
    );
    return { answers, missing: others.filter((other) => !answers.has(other)) };
  }

  /** In Linux's abstract namespace: nothing to clean up, whatever ends a worker. */
  #nameOf(index: number): string {
    return `\0tracecar-${this.#worker.family}-${index}`;
  }
}

function askOne(socketPath: string, method: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(patienceMs);
    const call = request({ socketPath, method, path, agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(error);
        }
      });
    });
    call.on('error', reject).end();
  });
}
