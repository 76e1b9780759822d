// `tracecar demo --once`: a fixed amount of traffic, every trace of it checked span by span, one trace shown.
import { writeFile } from 'node:fs/promises';
import { sendClientSpans } from './client-spans.ts';
import { expectedTree, firstDifference, type ServiceAddresses, treeSize } from './expected-tree.ts';
import type { Mesh } from './mesh.ts';
import { firstSeenDifference, readSeenHeaders, traceIdOf } from './seen-headers.ts';
import { awaitSettled, type ExpectedSpans } from './settle.ts';
import { readTrace, type StoredSpan } from './stored-spans.ts';
import { type ServiceName, scenarios, spansByService } from './topology.ts';
import { planRequests, type SentRequest, sendAll } from './traffic.ts';
import { renderWaterfall } from './waterfall.ts';

const requestCount = 60;
const connections = 4;

export interface OnceOptions {
  /** Print the result as one JSON document instead of text. */
  readonly json: boolean;
  /** Write the run's spans to this file as a JSON array. */
  readonly spansFile?: string;
}

interface CheckedTrace {
  readonly request: SentRequest;
  readonly traceId: string;
  readonly spans: readonly StoredSpan[];
  readonly expectedSpans: number;
  readonly difference: string | undefined;
}

/** Runs the traffic and the checks against a started mesh; resolves with the exit code (0 or 1). */
export async function runOnce(mesh: Mesh, options: OnceOptions): Promise<number> {
  const sent = await sendAll(mesh.nodes[0]!.inbound, planRequests(requestCount), connections);
  const clientSpans = await sendClientSpans(mesh.collector.otlpHttp, sent);
  const unsettled = await awaitSettled(mesh, expectedSpans(sent, clientSpans)).then(
    () => undefined,
    (error: Error) => error.message,
  );
  const traces = await checkTraces(mesh, sent);
  const spans = traces.flatMap((trace) => trace.spans);
  const lost = traces.reduce((sum, trace) => sum + Math.max(0, trace.expectedSpans - trace.spans.length), 0);
  const wrong = traces.find((trace) => trace.difference !== undefined);
  const difference = wrong ? `order ${wrong.request.order}, trace ${wrong.traceId}: ${wrong.difference}` : unsettled;

  if (options.spansFile !== undefined) await writeFile(options.spansFile, `${JSON.stringify(spans.map(toRecord))}\n`);
  const found = traces.filter((trace) => trace.spans.length > 0).length;
  const summary = `demo: ${sent.length} requests, ${found} traces, ${spans.length} spans, ${lost} lost`;
  if (options.json) {
    const result = { requests: sent.length, traces: found, spans: spans.length, lost, difference: difference ?? null };
    const list = options.spansFile === undefined ? { list: spans.map(toRecord) } : {};
    process.stdout.write(`${JSON.stringify({ ...result, ...list })}\n`);
  } else {
    process.stdout.write(`${showOne(traces)}${summary}\n`);
  }
  if (difference !== undefined) process.stderr.write(`tracecar: demo: ${difference}\n`);
  return difference === undefined && lost === 0 ? 0 : 1;
}

function expectedSpans(sent: readonly SentRequest[], clientSpans: number): ExpectedSpans {
  const byService = new Map<ServiceName, number>();
  for (const request of sent) {
    for (const [service, count] of spansByService(request.scenario.exchange)) {
      byService.set(service, (byService.get(service) ?? 0) + count);
    }
  }
  return { byService, total: [...byService.values()].reduce((sum, n) => sum + n, clientSpans) };
}

async function checkTraces(mesh: Mesh, sent: readonly SentRequest[]): Promise<CheckedTrace[]> {
  const seen = await readSeenHeaders(mesh);
  const addresses = Object.fromEntries(mesh.nodes.map((node) => [node.service, node.direct])) as ServiceAddresses;
  return Promise.all(
    sent.map(async (request) => {
      const tree = expectedTree(request, addresses);
      const traceId = request.context?.traceId ?? traceIdOf(seen, request);
      const spans = await readTrace(mesh.collector.viewer, traceId);
      const statusDifference =
        request.status === tree.status ? undefined : `the client got ${request.status} instead of ${tree.status}`;
      return {
        ...{ request, traceId, spans, expectedSpans: treeSize(tree) },
        difference: statusDifference ?? firstDifference(tree, spans) ?? firstSeenDifference(seen, request, spans),
      };
    }),
  );
}

function showOne(traces: readonly CheckedTrace[]): string {
  // The last one: the first ones are slow for another reason, the programs are still warming up.
  const shown = traces.findLast((trace) => trace.request.scenario === scenarios.slow) ?? traces[0];
  if (shown === undefined || shown.spans.length === 0) return '';
  const services = new Set(shown.spans.map((span) => span.service)).size;
  const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  const lines = renderWaterfall(shown.spans, { width: process.stdout.columns ?? 110, colour });
  const title = `${shown.request.scenario.title}: trace ${shown.traceId}, ${shown.spans.length} spans, ${services} services`;
  return `${title}\n\n${lines.map((line) => `  ${line}\n`).join('')}\n`;
}

function toRecord(span: StoredSpan) {
  const { traceId, spanId, parentId, service, name, kind, error, startUs, durationUs, tags } = span;
  return { traceId, spanId, parentId: parentId || null, service, name, kind, error, startUs, durationUs, tags };
}
