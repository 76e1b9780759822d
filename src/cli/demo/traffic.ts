// The demo's client: sends requests through the front end's sidecar over keep-alive connections.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { type Scenario, scenarios, servicePort } from './topology.ts';

/** A trace context the client itself starts, as an instrumented browser would. */
export interface ClientContext {
  readonly traceId: string;
  readonly spanId: string;
  /** The header family that carries it. */
  readonly format: 'tracecontext' | 'b3multi' | 'b3';
}

export interface PlannedRequest {
  /** Goes along as the query's `order`, and so names the request at every service. */
  readonly order: string;
  readonly scenario: Scenario;
  readonly context?: ClientContext;
}

export interface SentRequest extends PlannedRequest {
  readonly status: number;
  readonly startUnixMs: number;
  readonly endUnixMs: number;
}

const formats = ['tracecontext', 'b3multi', 'b3'] as const;

/** A client context with fresh random ids. */
export function newContext(format: ClientContext['format']): ClientContext {
  return { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), format };
}

/** A fixed mix of `count` requests: every scenario, and every tenth and its neighbour with a context of their own. */
export function planRequests(count: number): PlannedRequest[] {
  const { browse, buy, slow, failing } = scenarios;
  const mix: readonly Scenario[] = [buy, browse, slow, buy, failing, browse, buy, browse, buy, failing];
  return Array.from({ length: count }, (_, i) => {
    const own = i % 10 >= 7 ? newContext(formats[i % formats.length]!) : undefined;
    return { order: String(i + 1), scenario: mix[i % mix.length]!, ...(own ? { context: own } : {}) };
  });
}

/** The headers that carry a sampled context in its format. */
export function contextHeaders(context: ClientContext): Record<string, string> {
  const { traceId, spanId } = context;
  if (context.format === 'tracecontext') return { traceparent: `00-${traceId}-${spanId}-01` };
  if (context.format === 'b3') return { b3: `${traceId}-${spanId}-1` };
  return { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '1' };
}

/** Sends one request to `inbound` (host:port) and reads its answer to the end. */
export function sendRequest(agent: http.Agent, inbound: string, planned: PlannedRequest): Promise<SentRequest> {
  const { scenario } = planned;
  const [host, port] = inbound.split(':');
  const body = scenario.body === undefined ? undefined : JSON.stringify(scenario.body);
  const startUnixMs = Date.now();
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        ...{ agent, host, port, method: scenario.method, path: `${scenario.path}?order=${planned.order}` },
        headers: {
          host: `front-end:${servicePort}`,
          'user-agent': 'tracecar-demo',
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...(planned.context ? contextHeaders(planned.context) : {}),
        },
      },
      (response) => {
        response.resume();
        response.on('error', reject);
        response.on('end', () =>
          resolve({ ...planned, status: response.statusCode ?? 0, startUnixMs, endUnixMs: Date.now() }),
        );
      },
    );
    request.setTimeout(10_000, () => request.destroy(new Error(`no answer to order ${planned.order} within 10 s`)));
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends all requests, `connections` at a time, each over its own keep-alive connection. Rejects on the first failure. */
export async function sendAll(
  inbound: string,
  plan: readonly PlannedRequest[],
  connections: number,
): Promise<SentRequest[]> {
  const waiting = [...plan];
  const sent: SentRequest[] = [];
  const lane = async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        sent.push(await sendRequest(agent, inbound, next));
      }
    } finally {
      agent.destroy();
    }
  };
  await Promise.all(Array.from({ length: connections }, lane));
  return sent.sort((a, b) => Number(a.order) - Number(b.order));
}

/** Keeps sending one request each `intervalMs` until stopped; a failed one is left to the traces to show. */
export function keepSending(inbound: string, intervalMs: number): { stop(): void } {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const plan = planRequests(10).map(({ order, scenario }) => ({ order, scenario }));
  let count = 0;
  const timer = setInterval(() => {
    const planned = { ...plan[count % plan.length]!, order: String(++count) };
    sendRequest(agent, inbound, planned).catch(() => {});
  }, intervalMs);
  return {
    stop() {
      clearInterval(timer);
      agent.destroy();
    },
  };
}
