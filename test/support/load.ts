// Steady requests over keep-alive connections, every one of them watched.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** An application on 127.0.0.1 that answers 200; resolves with its port. */
export async function startApplication(t: TestContext, onRequest?: (request: http.IncomingMessage) => void) {
  const server = http.createServer((request, response) => {
    onRequest?.(request);
    request.resume().on('end', () => response.end('ok'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  t.after(() => server.closeAllConnections());
  return (server.address() as AddressInfo).port;
}

function getOne(agent: http.Agent, port: number, path: string, headers: http.OutgoingHttpHeaders): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = http.get({ agent, port, host: '127.0.0.1', path, headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${path} was answered ${response.statusCode}`));
      response.resume().on('end', resolve).on('error', reject);
    });
    request.on('error', reject);
  });
}

/** Sends `count` GETs over four connections; rejects when one of them is not answered 200. */
export async function sendRequests(
  port: number,
  count: number,
  headers: (i: number) => http.OutgoingHttpHeaders = () => ({}),
): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  try {
    await Promise.all(Array.from({ length: count }, (_, i) => getOne(agent, port, `/${i}`, headers(i))));
  } finally {
    agent.destroy();
  }
}

export interface SteadyLoad {
  readonly sent: () => number;
  /** Ends the load; rejects when any request failed, else resolves with how many were answered. */
  stop(): Promise<number>;
}

/** Sends one GET after the other on each of four connections, a pause of a millisecond between, until stopped. */
export function startLoad(port: number): SteadyLoad {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  let running = true;
  let answered = 0;
  const lane = async () => {
    while (running) {
      await getOne(agent, port, '/steady', {});
      answered++;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const lanes = Promise.all(Array.from({ length: 4 }, lane));
  lanes.catch(() => {});
  return {
    sent: () => answered,
    async stop() {
      running = false;
      await lanes;
      agent.destroy();
      return answered;
    },
  };
}
