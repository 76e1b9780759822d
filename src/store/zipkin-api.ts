// Zipkin's query API (v2): the JSON that Zipkin's UI and scripts around it read.
import { json, type Reply, type Route, type RouteRequest, type Routes, text } from '../runtime/http-routes.ts';
import { BadParameter } from './bad-parameter.ts';
import type { TraceStore } from './trace-store.ts';
import { toZipkinTrace, zipkinServiceName, zipkinTraceId } from './zipkin-json.ts';
import { parseZipkinQuery, searchZipkin } from './zipkin-search.ts';

/** `/api/v2/services`, `/api/v2/spans`, `/api/v2/traces`, `/api/v2/trace/:id`, `/health`. */
export function zipkinRoutes(store: TraceStore): Routes {
  const routes: Routes = {
    'GET /health': () => answer(health),
    'GET /api/v2/services': () => answer(distinct(store.services().map(zipkinServiceName))),
    'GET /api/v2/spans': (request) => answer(spanNames(store, request)),
    'GET /api/v2/traces': async ({ url }) =>
      answer(await searchZipkin(store, parseZipkinQuery(url.searchParams, Date.now()))),
    'GET /api/v2/trace/:id': (request) => oneTrace(store, request),
  };
  return Object.fromEntries(Object.entries(routes).map(([path, route]) => [path, withErrors(route)]));
}

const health = {
  status: 'UP',
  zipkin: { status: 'UP', details: { 'InMemoryStorage{}': { status: 'UP' } } },
};

function answer(value: unknown): Reply {
  return json(value, 200, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
}

function withErrors(route: Route): Route {
  return async (request) => {
    try {
      return await route(request);
    } catch (error) {
      if (!(error instanceof BadParameter)) throw error;
      return text(error.message, 400);
    }
  };
}

function spanNames(store: TraceStore, { url }: RouteRequest): string[] {
  const given = url.searchParams.get('serviceName');
  if (given === null) throw new BadParameter('Mandatory parameter/header/attribute is missing: serviceName');
  const services = store.services().filter((service) => zipkinServiceName(service) === given.toLowerCase());
  const names = services.flatMap((service) => store.operations(service).map(({ name }) => name.toLowerCase()));
  return distinct(names.filter((name) => name !== ''));
}

function oneTrace(store: TraceStore, { params }: RouteRequest): Reply {
  const traceId = parseTraceId(params.id ?? '');
  const trace = store.findTrace(traceId);
  return trace === undefined ? text(`${zipkinTraceId(traceId)} not found`, 404) : answer(toZipkinTrace(trace));
}

/** 1 to 32 lower-case hex characters, as stored: padded to 32. @throws BadParameter in Zipkin's words */
function parseTraceId(given: string): string {
  if (!/^[0-9a-f]*$/.test(given)) throw new BadParameter(`${given} should be lower-hex encoded with no prefix`);
  if (given.length > 32) throw new BadParameter('traceId.length > 32');
  if (/^0*$/.test(given)) throw new BadParameter('traceId is all zeros');
  return given.padStart(32, '0');
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
