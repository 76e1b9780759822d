// Oracle: Go's net/http, built once from the program beside this file.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { sawRefusal } from './answers.ts';
import { type Oracle, pathOf, type SeenRequest, type View } from './view.ts';

/** A request as the program prints it; texts are base64. */
interface Printed {
  readonly method: string;
  readonly target: string;
  readonly body: string;
  readonly complete: boolean;
  readonly refused: boolean;
  readonly traceparents: readonly string[];
  readonly trailers: string;
}

interface PrintedConnection {
  readonly peer: number;
  readonly requests: readonly Printed[];
}

const text = (base64: string) => Buffer.from(base64, 'base64').toString('latin1');

function seenFrom({ method, target, body, complete, traceparents, trailers }: Printed): SeenRequest {
  return {
    method: text(method),
    target: pathOf(text(target)),
    body: text(body),
    complete,
    traceparents,
    elsewhere: text(trailers),
  };
}

/** Builds the program into `folder`; returns its path, or throws with the compiler's last words. */
function build(folder: string): string {
  const binary = path.join(folder, 'go-oracle');
  const source = path.join(import.meta.dirname, 'go-oracle');
  const result = spawnSync('go', ['build', '-trimpath', '-o', binary, '.'], { cwd: source, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`go build: ${result.stderr.trim()}`);
  return binary;
}

/** Starts the program; it ends with the test. `folder` must exist. */
export async function startGoOracle(t: TestContext, folder: string): Promise<Oracle> {
  const child: ChildProcess = spawn(build(folder), { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => child.kill());
  const lines = createInterface({ input: child.stdout! });
  const [first] = (await once(lines, 'line')) as [string];
  const port = Number(first);
  const waiting = new Map<number, (printed: PrintedConnection) => void>();
  lines.on('line', (line) => {
    const printed = JSON.parse(line) as PrintedConnection;
    waiting.get(printed.peer)?.(printed);
    waiting.delete(printed.peer);
  });

  return {
    name: `Go ${/go([\d.]+)/.exec(spawnSync('go', ['version'], { encoding: 'utf8' }).stdout)?.[1]}`,
    async see(bytes: string): Promise<View> {
      const client = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const received: Buffer[] = [];
      client.on('error', () => {});
      client.on('data', (chunk: Buffer) => received.push(chunk));
      await once(client, 'connect');
      const printed = new Promise<PrintedConnection>((resolve) => waiting.set(client.localPort!, resolve));
      const ended = new Promise((resolve) => client.once('end', resolve).once('close', resolve));
      client.end(Buffer.from(bytes, 'latin1'));
      const [{ requests }] = await Promise.all([printed, ended]);
      client.destroy();
      const refused = requests.some((request) => request.refused) || sawRefusal(Buffer.concat(received));
      return { requests: requests.map(seenFrom), refused, closed: false };
    },
  };
}
