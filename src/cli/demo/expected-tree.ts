// Compares the spans of a trace with the tree its request must leave, and names the first difference.
import { clientService, clientSpanName } from './client-spans.ts';
import type { StoredSpan } from './stored-spans.ts';
import { type Exchange, type ServiceName, servicePort } from './topology.ts';
import type { SentRequest } from './traffic.ts';

export interface ExpectedSpan {
  readonly service: string;
  readonly kind: 'SERVER' | 'CLIENT';
  readonly name: string;
  readonly status: number;
  readonly children: readonly ExpectedSpan[];
}

/** Where each service itself listens: `host:port`. */
export type ServiceAddresses = Readonly<Record<ServiceName, string>>;

/** The tree of spans one request must leave; the client's own span on top where it brought a context. */
export function expectedTree(request: SentRequest, addresses: ServiceAddresses): ExpectedSpan {
  const inner = serverSpan(request.scenario.exchange, addresses);
  if (request.context === undefined) return inner;
  return { service: clientService, kind: 'CLIENT', name: clientSpanName, status: request.status, children: [inner] };
}

// A sidecar names spans by service and port: the application's own port inbound, the one called outbound.
function serverSpan(exchange: Exchange, addresses: ServiceAddresses): ExpectedSpan {
  const clientSpan = (call: Exchange): ExpectedSpan => ({
    service: exchange.service,
    kind: 'CLIENT',
    name: `${call.service}:${servicePort}/*`,
    status: call.status,
    children: [serverSpan(call, addresses)],
  });
  return {
    service: exchange.service,
    kind: 'SERVER',
    name: `${exchange.service}:${addresses[exchange.service].split(':')[1]}/*`,
    status: exchange.status,
    children: exchange.calls.map(clientSpan),
  };
}

/** How many spans the tree has. */
export function treeSize(tree: ExpectedSpan): number {
  return tree.children.reduce((sum, child) => sum + treeSize(child), 1);
}

/** The first difference between the expected tree and the spans stored for the trace, or undefined. */
export function firstDifference(tree: ExpectedSpan, spans: readonly StoredSpan[]): string | undefined {
  const ids = new Set(spans.map((span) => span.spanId));
  if (ids.size !== spans.length) return `${spans.length - ids.size} spans are stored twice`;
  const orphan = spans.find((span) => span.parentId !== '' && !ids.has(span.parentId));
  if (orphan !== undefined) {
    return `${describe(orphan)} is an orphan: its parent ${orphan.parentId} is not in the trace`;
  }
  const roots = spans.filter((span) => span.parentId === '');
  const difference = compareSiblings('the trace', [tree], roots, spans);
  if (difference !== undefined) return difference;
  return spans.length === treeSize(tree) ? undefined : `${spans.length} spans instead of ${treeSize(tree)}`;
}

function compareSiblings(
  parent: string,
  expected: readonly ExpectedSpan[],
  actual: readonly StoredSpan[],
  all: readonly StoredSpan[],
): string | undefined {
  const inOrder = actual.toSorted((a, b) => a.startUs - b.startUs);
  if (actual.length !== expected.length) {
    const found = inOrder.map(describe).join(', ') || 'none';
    return `${parent} has ${actual.length} children instead of ${expected.length} (${found})`;
  }
  for (const [i, want] of expected.entries()) {
    const span = inOrder[i]!;
    const difference =
      compareSpan(want, span) ??
      compareSiblings(
        describe(span),
        want.children,
        all.filter((child) => child.parentId === span.spanId),
        all,
      );
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function compareSpan(want: ExpectedSpan, span: StoredSpan): string | undefined {
  const pairs: [string, string | number | boolean, string | number | boolean][] = [
    ['service', span.service, want.service],
    ['kind', span.kind, want.kind],
    ['name', span.name, want.name],
    ['http.response.status_code', Number(span.tags['http.response.status_code']), want.status],
    ['error status', span.error, want.status >= 500],
  ];
  const wrong = pairs.find(([, actual, expected]) => actual !== expected);
  return wrong && `${describe(span)}: ${wrong[0]} is ${wrong[1]} instead of ${wrong[2]}`;
}

function describe(span: StoredSpan): string {
  return `span ${span.spanId} (${span.service} ${span.kind} ${span.name})`;
}
