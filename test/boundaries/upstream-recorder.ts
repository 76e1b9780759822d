// The server behind a proxy that is asked what it sees: takes one request a connection, keeps it, answers 200.
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { pathOf, type SeenRequest } from './view.ts';

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

/** A proxy's own, well-formed message as far as it has come; undefined before its head is complete. */
export function readMessage(received: string): SeenRequest | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [start = '', ...lines] = received.slice(0, headEnd).split('\r\n');
  const values = (name: string) =>
    lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
  const rest = received.slice(headEnd + 4);
  const chunked = values('transfer-encoding').length > 0;
  const { body, complete, elsewhere } = chunked ? readChunks(rest) : readSized(rest, values('content-length'));
  // nginx says what it was asked: what it passes on is its own form of it.
  const line = values('x-request-line')[0] ?? start;
  const target = line.slice(line.indexOf(' ') + 1).replace(/ HTTP\/\d\.\d$/, '');
  const method = line.slice(0, line.indexOf(' '));
  return { method, target: pathOf(target), body, complete, traceparents: values('traceparent'), elsewhere };
}

type Content = Pick<SeenRequest, 'body' | 'complete' | 'elsewhere'>;

function readSized(rest: string, lengths: readonly string[]): Content {
  const length = Number(lengths[0] ?? 0);
  return { body: rest.slice(0, length), complete: rest.length >= length, elsewhere: rest.slice(length) };
}

function readChunks(rest: string): Content {
  const pieces: string[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd < 0) return { body: pieces.join(''), complete: false, elsewhere: '' };
    const size = Number.parseInt(rest.slice(at, lineEnd), 16);
    at = lineEnd + 2;
    if (size === 0) {
      const elsewhere = rest.slice(at);
      return { body: pieces.join(''), complete: elsewhere.endsWith('\r\n'), elsewhere };
    }
    pieces.push(rest.slice(at, at + size));
    at += size + 2;
  }
}

export interface Recorder {
  /** Targets of the requests that are complete, since the last `take`. */
  readonly completed: readonly string[];
  /** What came since the last `take`, in order; connections still open are cut. */
  take(): SeenRequest[];
}

/** Listens on the Unix socket `path`; ends with the test. */
export async function startRecorder(t: TestContext, path: string): Promise<Recorder> {
  let connections: { readonly socket: net.Socket; text: string; answered: boolean }[] = [];
  let completed: string[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const connection = { socket, text: '', answered: false };
    connections.push(connection);
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      connection.text += chunk.toString('latin1');
      const request = connection.answered ? undefined : readMessage(connection.text);
      if (request?.complete !== true) return;
      connection.answered = true;
      completed.push(request.target);
      socket.end(answer);
    });
  });
  server.listen(path);
  await once(server, 'listening');
  t.after(() => {
    for (const { socket } of connections) socket.destroy();
    server.close();
  });
  return {
    get completed() {
      return completed;
    },
    take() {
      const taken = connections;
      connections = [];
      completed = [];
      for (const { socket } of taken) socket.destroy();
      return taken.map(({ text }) => readMessage(text)).filter((request) => request !== undefined);
    },
  };
}
