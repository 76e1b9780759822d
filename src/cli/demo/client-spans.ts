// The spans of the demo's own client, for requests that came with their own context: sent as OTLP/JSON.
import { scenarios } from './topology.ts';
import type { SentRequest } from './traffic.ts';

/** service.name of the client. */
export const clientService = 'shopper';
export const clientSpanName = 'click';

/**
 * Sends one CLIENT root span for each request that carries a context, as an instrumented browser would,
 * so that its trace has a root. Resolves with how many were sent; throws unless the collector took them.
 * @param otlpHttp `host:port` of the collector's OTLP/HTTP receiver
 */
export async function sendClientSpans(otlpHttp: string, requests: readonly SentRequest[]): Promise<number> {
  const spans = requests.flatMap((request) => (request.context ? [toOtlpJson(request)] : []));
  const response = await fetch(`http://${otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(5_000),
    body: JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: [stringAttribute('service.name', clientService)] },
          scopeSpans: [{ scope: { name: 'tracecar-demo' }, spans }],
        },
      ],
    }),
  });
  const answer = await response.text();
  if (response.status !== 200 || /rejectedSpans"?:"?[1-9]/.test(answer)) {
    throw new Error(`the collector did not take the client's spans: HTTP ${response.status} ${answer}`);
  }
  return spans.length;
}

function toOtlpJson(request: SentRequest) {
  return {
    traceId: request.context!.traceId,
    spanId: request.context!.spanId,
    name: clientSpanName,
    kind: 3,
    startTimeUnixNano: `${request.startUnixMs}000000`,
    endTimeUnixNano: `${request.endUnixMs}999999`,
    attributes: [
      stringAttribute('http.request.method', request.scenario.method),
      { key: 'http.response.status_code', value: { intValue: String(request.status) } },
      stringAttribute('demo.scenario', request.scenario.title),
    ],
    ...(request.scenario === scenarios.failing ? { status: { code: 2 } } : {}),
  };
}

function stringAttribute(key: string, value: string) {
  return { key, value: { stringValue: value } };
}
