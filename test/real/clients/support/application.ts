// An application that says what it got: every request's line, headers and body, and on which connection it came.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface Application {
  readonly port: number;
  /** `METHOD target body-bytes` of each request, by connection. */
  readonly seen: readonly string[][];
}

/** Trace headers, which differ from run to run. */
const ours = /^(?:traceparent|tracestate|b3|x-b3-.*|x-request-id)$/i;

/**
 * Answers each request with its line, its header lines but the trace headers, and the size and checksum of its body.
 * `?ms=N` waits before it answers. Ends with the test.
 */
export async function startEcho(t: TestContext): Promise<Application> {
  const seen: string[][] = [];
  const server = http.createServer({ keepAliveTimeout: 60_000 }, async (request, response) => {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of request) {
      hash.update(chunk as Buffer);
      size += (chunk as Buffer).length;
    }
    bySocket.get(request.socket)?.push(`${request.method} ${request.url} ${size}`);
    const lines: string[] = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      if (!ours.test(request.rawHeaders[i]!)) lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    }
    response.sendDate = false;
    response.setHeader('content-type', 'text/plain');
    const text = [
      `${request.method} ${request.url} HTTP/${request.httpVersion}`,
      ...lines.map((line) => line.replace(/^(Host: 127\.0\.0\.1):\d+$/i, '$1')),
      `${size} ${hash.digest('hex')}`,
      '',
    ].join('\n');
    response.setHeader('content-length', Buffer.byteLength(text));
    response.end(text);
  });
  const bySocket = new Map<unknown, string[]>();
  server.on('connection', (socket) => {
    const list: string[] = [];
    bySocket.set(socket, list);
    seen.push(list);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { port: (server.address() as AddressInfo).port, seen };
}
