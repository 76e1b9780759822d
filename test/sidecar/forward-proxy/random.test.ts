// Many clients at once, each with requests to three origins in any order, sent in pieces of any size: nothing mixes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '../../support/random-exchanges.ts';
import { startProxy } from './proxy.ts';

const clients = 20;
const requestsEach = 25;

/** An origin of Node's own, which says who it is, what was asked and how much came; some answers are late, some large. */
async function startNodeOrigin(t: TestContext, name: string, random: Random): Promise<number> {
  const server = http.createServer(async (request, response) => {
    let bytes = 0;
    for await (const chunk of request) bytes += (chunk as Buffer).length;
    if (random(3) === 0) await sleep(random(8));
    const body = `${name}${request.url}:${bytes}:${'z'.repeat(random(4) === 0 ? random(60_000) : random(50))}`;
    if (random(2) === 0) response.setHeader('content-length', body.length);
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface Plan {
  readonly text: string;
  /** What the answer to each request begins with. */
  readonly expected: readonly string[];
}

function planRequests(client: number, ports: readonly number[], random: Random): Plan {
  let text = '';
  const expected: string[] = [];
  for (let i = 0; i < requestsEach; i++) {
    const origin = random(ports.length);
    const path = `/c${client}r${i}`;
    const size = random(3) === 0 ? 1 + random(50_000) : 1 + random(100);
    const line = `http://${random(2) ? 'localhost' : '127.0.0.1'}:${ports[origin]}${path} HTTP/1.1\r\nHost: x\r\n`;
    const kind = random(3);
    if (kind === 0) text += `GET ${line}\r\n`;
    else if (kind === 1) text += `POST ${line}Content-Length: ${size}\r\n\r\n${'b'.repeat(size)}`;
    else
      text += `PUT ${line}Transfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'c'.repeat(size)}\r\n0\r\n\r\n`;
    expected.push(`o${origin}${path}:${kind === 0 ? 0 : size}:`);
  }
  return { text, expected };
}

/** Sends the plan in pieces; the bodies of the answers, in order. */
async function bodiesOf(port: number, { text, expected }: Plan, random: Random): Promise<string[]> {
  const socket = net.connect(port, '127.0.0.1');
  const bodies: string[] = [];
  const sending = (async () => {
    for (let at = 0; at < text.length && !socket.destroyed; ) {
      const size = random(5) === 0 ? 1 + random(30) : 1 + random(20_000);
      socket.write(text.slice(at, at + size), 'latin1');
      at += size;
      if (random(4) === 0) await sleep(1);
    }
  })();
  let received = '';
  for await (const chunk of socket.setEncoding('latin1')) {
    received += chunk;
    for (let end = endOfAnswer(received); end > 0; end = endOfAnswer(received)) {
      const answer = received.slice(0, end);
      bodies.push(answer.slice(answer.indexOf('\r\n\r\n') + 4).replace(/^[\da-f]+\r\n/, ''));
      received = received.slice(end);
    }
    if (bodies.length === expected.length) break;
  }
  await sending;
  return bodies;
}

/** Behind the first answer in `text`, which has a length or chunks; 0 when it is not complete. */
function endOfAnswer(text: string): number {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return 0;
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, head + 2));
  const end = length === null ? text.indexOf('\r\n0\r\n\r\n', head) + 7 : head + 4 + Number(length[1]);
  return end > 6 && text.length >= end ? end : 0;
}

test('each request is answered by its own origin, in order, whole, with one span each', async (t) => {
  const proxy = await startProxy(t);
  const random = seededRandom(20_260);
  const ports = [
    await startNodeOrigin(t, 'o0', random),
    await startNodeOrigin(t, 'o1', random),
    await startNodeOrigin(t, 'o2', random),
  ];
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      const plan = planRequests(client, ports, random);
      const bodies = await bodiesOf(proxy.port, plan, random);
      assert.deepEqual(
        bodies.map((body, i) => body.slice(0, plan.expected[i]?.length)),
        plan.expected,
      );
    }),
  );
  const spans = await proxy.sink.received(clients * requestsEach);
  const paths = spans.map(({ attributes }) => attributes['url.path']);
  assert.equal(new Set(paths).size, clients * requestsEach);
  assert.ok(spans.every(({ statusCode }) => statusCode !== 2));
});
