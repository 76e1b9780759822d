// Oracle: the http module of the Node that runs the tests.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { type Oracle, pathOf, type SeenRequest, type View } from './view.ts';

/** What its parser says when the client's bytes just end: no refusal. */
const endOfInput = new Set(['HPE_INVALID_EOF_STATE', 'ECONNRESET']);

const maxWaitMs = 2000;

interface Recording {
  readonly requests: { read: () => SeenRequest }[];
  refused: boolean;
}

function record(request: IncomingMessage): () => SeenRequest {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('error', () => {});
  return () => ({
    method: request.method ?? '',
    target: pathOf(request.url ?? ''),
    body: Buffer.concat(chunks).toString('latin1'),
    complete: request.complete,
    traceparents: request.rawHeaders.filter((_, i, all) => i % 2 === 1 && /^traceparent$/i.test(all[i - 1]!)),
    elsewhere: request.rawTrailers.join(': '),
  });
}

export interface NodeOracle extends Oracle {
  readonly port: number;
  /** The same by way of another port of 127.0.0.1 that leads here. */
  seeThrough(port: number, bytes: string): Promise<View>;
}

/** A server that reads every request to its end and answers it; it ends with the test. */
export async function startNodeOracle(t: TestContext): Promise<NodeOracle> {
  const recordings = new Map<net.Socket, Recording>();
  const server: Server = createServer({ requireHostHeader: false, keepAliveTimeout: 0 }, (request, response) => {
    recordings.get(request.socket)!.requests.push({ read: record(request) });
    request.on('end', () => response.end());
  });
  // The client's end of input must not cost it the answers to what it has sent.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('checkExpectation', (request: IncomingMessage, response) => server.emit('request', request, response));
  server.on('connect', (request: IncomingMessage, socket: net.Socket, head: Buffer) => {
    const seen = { ...record(request)(), complete: true, elsewhere: head.toString('latin1') };
    recordings.get(socket)!.requests.push({ read: () => seen });
    socket.end();
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: net.Socket) => {
    if (!endOfInput.has(error.code ?? '')) recordings.get(socket)!.refused = true;
    socket.destroy();
  });
  server.on('connection', (socket: net.Socket) => recordings.set(socket, { requests: [], refused: false }));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;

  const seeThrough = async (via: number, bytes: string): Promise<View> => {
    const accepted = once(server, 'connection') as Promise<[net.Socket]>;
    const client = net.connect({ port: via, host: '127.0.0.1' });
    client.on('error', () => {});
    client.resume();
    const [socket] = await accepted;
    // After an upgrade and an error it stays open for good.
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(maxWaitMs) }).catch(() => socket.destroy());
    client.end(Buffer.from(bytes, 'latin1'));
    await closed;
    const { requests, refused } = recordings.get(socket)!;
    recordings.delete(socket);
    client.destroy();
    return { requests: requests.map(({ read }) => read()), refused, closed: false };
  };
  return {
    name: `Node ${process.versions.node}`,
    port,
    seeThrough,
    see: (bytes) => seeThrough(port, bytes),
  };
}
