// Jaeger's /api/v3 on the viewer's port: the same traces as OTLP JSON.
import { decodeRequest } from '../formats/otlp/decode.ts';
import { requestToJson } from '../formats/otlp/json-encode.ts';
import { json, type Reply, type Route, type RouteRequest, type Routes } from '../runtime/http-routes.ts';
import { BadParameter, parseTraceId } from './bad-parameter.ts';
import { encodeSpans, type IndexedSpan } from './indexed-span.ts';
import { kindName } from './jaeger-json.ts';
import { parseV3Query, v3 } from './jaeger-query.ts';
import { searchTraces } from './jaeger-search.ts';
import type { TraceStore } from './trace-store.ts';

/** `/api/v3/services`, `/api/v3/operations`, `/api/v3/traces`, `/api/v3/traces/:id`. */
export function jaegerV3Routes(store: TraceStore): Routes {
  const routes: Routes = {
    'GET /api/v3/services': () => answer({ services: store.services() }),
    'GET /api/v3/operations': (request) => operations(store, request),
    'GET /api/v3/traces': (request) => search(store, request),
    'GET /api/v3/traces/:id': (request) => oneTrace(store, request),
  };
  return Object.fromEntries(Object.entries(routes).map(([path, route]) => [path, withErrors(route)]));
}

function withErrors(route: Route): Route {
  return async (request) => {
    try {
      return await route(request);
    } catch (error) {
      if (!(error instanceof BadParameter)) throw error;
      return failure(400, error.message);
    }
  };
}

function answer(value: unknown, status = 200): Reply {
  return json(value, status, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
}

function failure(httpCode: number, message: string): Reply {
  return answer({ error: { httpCode, message } }, httpCode);
}

function operations(store: TraceStore, { url }: RouteRequest): Reply {
  const service = url.searchParams.get('service') ?? '';
  const spanKind = v3(url.searchParams, 'spanKind').value.toLowerCase();
  const all = store.operations(service).filter(({ kind }) => spanKind === '' || kindName(kind) === spanKind);
  return answer({
    operations: all.map(({ name, kind }) => (kind === 0 ? { name } : { name, spanKind: kindName(kind) })),
  });
}

async function search(store: TraceStore, { url }: RouteRequest): Promise<Reply> {
  const found = await searchTraces(store, parseV3Query(url.searchParams));
  return render(found.flatMap((trace) => [...trace.spans]));
}

function oneTrace(store: TraceStore, { params }: RouteRequest): Reply {
  const trace = store.findTrace(parseTraceId('malformed parameter trace_id', params.id ?? ''));
  return render(trace === undefined ? [] : [...trace.spans]);
}

function render(spans: readonly IndexedSpan[]): Reply {
  if (spans.length === 0) return failure(404, 'No traces found');
  return answer({ result: requestToJson(decodeRequest(encodeSpans(spans))) });
}
