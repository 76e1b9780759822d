// Jaeger's classic query API on the viewer's port: the JSON that Jaeger's UI and scripts around it read.

import { json, type Reply, type Route, type RouteRequest, type Routes } from '../runtime/http-routes.ts';
import { BadParameter, parseTraceId } from './bad-parameter.ts';
import { decodeSpans } from './indexed-span.ts';
import { type JaegerTrace, kindName, toJaegerTrace } from './jaeger-json.ts';
import { microsToNano, parseClassicQuery } from './jaeger-query.ts';
import { searchTraces } from './jaeger-search.ts';
import type { StoredTrace, TraceStore } from './trace-store.ts';

interface JaegerError {
  readonly code?: number;
  readonly msg: string;
  readonly traceID?: string;
}

/** `/api/services`, `/api/services/:service/operations`, `/api/operations`, `/api/traces`, `/api/traces/:id`. */
export function jaegerRoutes(store: TraceStore): Routes {
  const routes: Routes = {
    'GET /api/services': () => list(store.services()),
    'GET /api/services/:service/operations': ({ params }) =>
      list([...new Set(store.operations(params.service ?? '').map((operation) => operation.name))]),
    'GET /api/operations': (request) => operations(store, request),
    'GET /api/traces': (request) => search(store, request),
    'GET /api/traces/:id': (request) => oneTrace(store, request),
  };
  return Object.fromEntries(Object.entries(routes).map(([path, route]) => [path, withErrors(route)]));
}

/** Jaeger sends its errors as text/plain with JSON in it; the type here is that of the content. */
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

function failure(code: number, msg: string): Reply {
  return envelope(null, 0, [{ code, msg }], code);
}

function envelope(data: unknown, total: number, errors: readonly JaegerError[] | null, status = 200): Reply {
  const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
  return json({ data, total, limit: 0, offset: 0, errors }, status, headers);
}

/** An empty list is null in Jaeger, which is what `data` was before anything came. */
function list(values: readonly unknown[]): Reply {
  return envelope(values.length > 0 ? values : null, values.length, null);
}

function operations(store: TraceStore, { url }: RouteRequest): Reply {
  const service = url.searchParams.get('service') ?? '';
  if (service === '') throw new BadParameter("parameter 'service' is required");
  const spanKind = url.searchParams.get('spanKind')?.toLowerCase() || undefined;
  const all = store.operations(service).map(({ name, kind }) => ({ name, spanKind: kindName(kind) }));
  return list(spanKind === undefined ? all : all.filter((operation) => operation.spanKind === spanKind));
}

async function search(store: TraceStore, { url }: RouteRequest): Promise<Reply> {
  const traceIds = url.searchParams.getAll('traceID');
  if (traceIds.length > 0) return someTraces(store, traceIds);
  const found = await searchTraces(store, parseClassicQuery(url.searchParams, Date.now()));
  return envelope(found.map(render), 0, null);
}

/** Traces by id; Jaeger names those it does not have in `errors` and answers 200. */
function someTraces(store: TraceStore, given: readonly string[]): Reply {
  const errors: JaegerError[] = [];
  const data: JaegerTrace[] = [];
  for (const traceID of given) {
    const trace = store.findTrace(parseTraceId('traceID', traceID));
    if (trace === undefined) errors.push({ msg: 'trace not found', traceID });
    else data.push(render(trace));
  }
  return envelope(data, 0, errors.length > 0 ? errors : null);
}

function oneTrace(store: TraceStore, { url, params }: RouteRequest): Reply {
  // Jaeger's stores use them as a hint where to look; ours needs none, but a wrong one is still told.
  microsToNano(url.searchParams, 'start');
  microsToNano(url.searchParams, 'end');
  const trace = store.findTrace(parseTraceId('trace id', params.id ?? ''));
  if (trace === undefined) return failure(404, 'trace not found');
  const reply = envelope([render(trace)], 0, null);
  if (url.searchParams.get('prettyPrint') !== 'true') return reply;
  return { ...reply, body: JSON.stringify(JSON.parse(String(reply.body)), null, 4) };
}

function render(trace: StoredTrace): JaegerTrace {
  return toJaegerTrace(trace.traceId, decodeSpans(trace.spans));
}
