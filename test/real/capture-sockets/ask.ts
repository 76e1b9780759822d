// Opens many connections, some at a time, with one request each, and prints who answered and what failed.
import { connect } from 'node:net';

const [, , port, count, ...hosts] = process.argv;
const answers: Record<string, number> = {};
const concurrency = 50;

function note(outcome: string): void {
  answers[outcome] = (answers[outcome] ?? 0) + 1;
}

function ask(host: string): Promise<void> {
  return new Promise((resolve) => {
    let text = '';
    let failure: string | undefined;
    const socket = connect({ host, port: Number(port) });
    socket.setEncoding('latin1').setTimeout(5_000, () => socket.destroy(new Error('timeout')));
    socket.write(`GET / HTTP/1.1\r\nhost: ${host.includes(':') ? `[${host}]` : host}\r\n\r\n`);
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code ?? error.message;
    });
    socket.on('close', () => {
      note(failure ?? text.slice(text.indexOf('\r\n\r\n') + 4));
      resolve();
    });
  });
}

let left = Number(count);
await Promise.all(
  Array.from({ length: concurrency }, async () => {
    while (left > 0) await ask(hosts[--left % hosts.length] ?? '');
  }),
);
process.stdout.write(`${JSON.stringify(answers)}\n`);
