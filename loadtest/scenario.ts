// What the load looks like: which requests are sent, with which headers, over how many connections.
import { randomBytes, randomUUID } from 'node:crypto';

export interface Header {
  readonly name: string;
  readonly value: string;
}

export interface Scenario {
  readonly name: string;
  /** One line for the reader of the table. */
  readonly summary: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly connections: number;
  readonly requestBody: string;
  readonly responseBody: string;
  /** How many different requests the generator rotates through; 1 when every request is the same. */
  readonly variants: number;
  /** The headers of one request besides Host and Content-Length, in the order they are sent. */
  headers(): readonly Header[];
}

const smallGets: Scenario = {
  name: 'h1',
  summary: 'small GETs, no trace headers coming in, answers of 100 bytes',
  method: 'GET',
  path: '/',
  connections: 32,
  requestBody: '',
  responseBody: 'x'.repeat(100),
  variants: 1,
  headers: () => [],
};

/** A call between two services of a mesh: both header families and x-request-id are there already. */
const meshPosts: Scenario = {
  name: 'h1-real',
  summary: 'POSTs of 1 KiB with 20 headers, traceparent, B3 multi and x-request-id coming in, answers of 1 KiB',
  method: 'POST',
  path: '/api/v1/orders?page=2',
  connections: 32,
  requestBody: 'b'.repeat(1024),
  responseBody: 'x'.repeat(1024),
  variants: 1024,
  headers: meshHeaders,
};

function meshHeaders(): readonly Header[] {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return Object.entries({
    'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    accept: 'application/json, text/plain;q=0.9, */*;q=0.8',
    'accept-encoding': 'gzip, deflate, br',
    'accept-language': 'en-GB,en;q=0.7,de;q=0.3',
    'content-type': 'application/json; charset=utf-8',
    authorization: `Bearer ${'k'.repeat(80)}`,
    cookie: 'session=1f0c2b7e9d4a4f6d8c35; theme=dark',
    'cache-control': 'no-cache',
    origin: 'http://shop.example',
    'x-forwarded-for': '203.0.113.7',
    'x-forwarded-proto': 'http',
    'x-envoy-attempt-count': '1',
    'x-request-id': randomUUID(),
    traceparent: `00-${traceId}-${spanId}-01`,
    'x-b3-traceid': traceId,
    'x-b3-spanid': spanId,
    'x-b3-parentspanid': randomBytes(8).toString('hex'),
    'x-b3-sampled': '1',
  }).map(([name, value]) => ({ name, value }));
}

export const scenarios: readonly Scenario[] = [smallGets, meshPosts];

/** One request as it goes over the wire to `authority` (`host:port`). */
export function encodeRequest(scenario: Scenario, authority: string): string {
  const lines = [`${scenario.method} ${scenario.path} HTTP/1.1`, `host: ${authority}`];
  for (const { name, value } of scenario.headers()) lines.push(`${name}: ${value}`);
  if (scenario.requestBody.length > 0) lines.push(`content-length: ${scenario.requestBody.length}`);
  return `${lines.join('\r\n')}\r\n\r\n${scenario.requestBody}`;
}

/** The names of every header a request carries, and the bytes of its head. */
export function describeHead(scenario: Scenario): { names: string[]; bytes: number } {
  const [head = ''] = encodeRequest(scenario, '127.0.0.1:00000').split('\r\n\r\n');
  const names = head
    .split('\r\n')
    .slice(1)
    .map((line) => line.slice(0, line.indexOf(':')));
  return { names, bytes: head.length + 4 };
}
