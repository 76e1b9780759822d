// Checks what the services saw: both header families at each, for each request, naming the span beside the service.
import { fetchJson } from './fetch-text.ts';
import type { Mesh } from './mesh.ts';
import type { StoredSpan } from './stored-spans.ts';
import { requestsByService, type ServiceName } from './topology.ts';
import type { SentRequest } from './traffic.ts';

interface Seen {
  readonly order: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The trace headers each service saw, read from the service itself and not through its sidecar. */
export type SeenByService = ReadonlyMap<ServiceName, readonly Seen[]>;

export async function readSeenHeaders(mesh: Mesh): Promise<SeenByService> {
  const pages = await Promise.all(mesh.nodes.map((node) => fetchJson(`http://${node.direct}/private/seen`)));
  return new Map(mesh.nodes.map((node, i) => [node.service, toSeen(pages[i])]));
}

function toSeen(page: unknown): Seen[] {
  if (!Array.isArray(page)) throw new Error('a service does not tell which headers it saw');
  return page.map((entry: Seen) => ({ order: entry.order, headers: entry.headers }));
}

/** The trace id under which the front end saw a request; throws when its traceparent is missing or malformed. */
export function traceIdOf(seen: SeenByService, request: SentRequest): string {
  const traceparent = seen.get('front-end')?.find((entry) => entry.order === request.order)?.headers.traceparent;
  const match = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(traceparent ?? '');
  if (match === null) {
    throw new Error(`order ${request.order}: the front end saw traceparent ${traceparent ?? 'missing'}`);
  }
  return match[1]!;
}

/** The first request whose headers at some service do not name the SERVER span beside it, in both families. */
export function firstSeenDifference(
  seen: SeenByService,
  request: SentRequest,
  spans: readonly StoredSpan[],
): string | undefined {
  const requestIds = new Set<string | undefined>();
  for (const [service, count] of requestsByService(request.scenario.exchange)) {
    const entries = (seen.get(service) ?? []).filter((entry) => entry.order === request.order);
    if (entries.length !== count) return `${service} saw ${entries.length} requests instead of ${count}`;
    const server = spans.find((span) => span.service === service && span.kind === 'SERVER');
    for (const { headers } of entries) {
      const wanted: Record<string, string | undefined> = {
        traceparent: `00-${server?.traceId}-${server?.spanId}-01`,
        'x-b3-traceid': server?.traceId,
        'x-b3-spanid': server?.spanId,
        'x-b3-sampled': '1',
      };
      const wrong = Object.keys(wanted).find((name) => headers[name] !== wanted[name]);
      if (wrong !== undefined) return `${service} saw ${wrong} ${headers[wrong] ?? 'missing'}, not ${wanted[wrong]}`;
      requestIds.add(headers['x-request-id']);
    }
  }
  return requestIds.size === 1 && !requestIds.has(undefined)
    ? undefined
    : `x-request-id is not the same at every service (${[...requestIds].join(', ')})`;
}
