// Reads the parameters of Jaeger's trace search, the classic ones and those of /api/v3.
import { BadParameter, findDurationNano, parseDurationNano, parseInteger, parseTimeNano } from './bad-parameter.ts';
import type { JaegerQuery } from './jaeger-search.ts';

/** Jaeger's own: `start` reaches back two days when neither it nor `lookback` is given. */
const defaultLookbackNano = 48n * 3_600_000_000_000n;
const defaultLimit = 100;

/** Our addition to the classic search: every service. */
export const anyService = '*';

/**
 * The query of `GET /api/traces`: service, operation, spanKind, tag=k:v (repeat), tags={json}, start and end in
 * microseconds, lookback, minDuration, maxDuration, limit.
 * @throws BadParameter in Jaeger's words where it has some
 */
export function parseClassicQuery(parameters: URLSearchParams, nowMs: number): JaegerQuery {
  const service = parameters.get('service') ?? '';
  if (service === '') throw new BadParameter("parameter 'service' is required");
  const end = microsToNano(parameters, 'end') ?? BigInt(nowMs) * 1_000_000n;
  const lookback = findDurationNano(parameters.get('lookback') ?? '') ?? defaultLookbackNano;
  const query: JaegerQuery = {
    service: service === anyService ? undefined : service,
    operation: parameters.get('operation') || undefined,
    spanKind: parameters.get('spanKind')?.toLowerCase() || undefined,
    tags: parseTags(parameters),
    startTimeMinNano: microsToNano(parameters, 'start') ?? end - lookback,
    startTimeMaxNano: end,
    durationMinNano: duration(parameters, 'minDuration'),
    durationMaxNano: duration(parameters, 'maxDuration'),
    limit: parseLimit('limit', parameters.get('limit')),
  };
  if (isReversed(query)) throw new BadParameter("'maxDuration' should be greater than 'minDuration'");
  return query;
}

/**
 * The query of `GET /api/v3/traces`. Each name in camel case (`query.serviceName`) or with underscores.
 * @throws BadParameter in Jaeger's words where it has some
 */
export function parseV3Query(parameters: URLSearchParams): JaegerQuery {
  const min = v3(parameters, 'query.startTimeMin');
  const max = v3(parameters, 'query.startTimeMax');
  if (min.value === '' || max.value === '') {
    throw new BadParameter('query.startTimeMin and query.startTimeMax are required');
  }
  const depth = v3(parameters, 'query.searchDepth');
  const traces = v3(parameters, 'query.numTraces');
  const limit = depth.value === '' ? traces : depth;
  const query: JaegerQuery = {
    service: v3(parameters, 'query.serviceName').value || undefined,
    operation: v3(parameters, 'query.operationName').value || undefined,
    spanKind: undefined,
    tags: parseTagsJson('query.attributes', v3(parameters, 'query.attributes').value || '{}'),
    startTimeMinNano: parseTimeNano(min.name, min.value),
    startTimeMaxNano: parseTimeNano(max.name, max.value),
    durationMinNano: v3Duration(parameters, 'query.durationMin'),
    durationMaxNano: v3Duration(parameters, 'query.durationMax'),
    limit: parseLimit(limit.name, limit.value),
  };
  if (isReversed(query)) throw new BadParameter("'query.durationMax' should be greater than 'query.durationMin'");
  return query;
}

/** A parameter of /api/v3 under either spelling: `query.serviceName` or `query.service_name`. */
export function v3(parameters: URLSearchParams, name: string): { readonly name: string; readonly value: string } {
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const used = parameters.has(name) || !parameters.has(snake) ? name : snake;
  return { name: used, value: parameters.get(used) ?? '' };
}

function v3Duration(parameters: URLSearchParams, name: string): bigint | undefined {
  const given = v3(parameters, name);
  return given.value === '' ? undefined : parseDurationNano(given.name, given.value);
}

function duration(parameters: URLSearchParams, name: string): bigint | undefined {
  const text = parameters.get(name) ?? '';
  return text === '' ? undefined : parseDurationNano(name, text);
}

function isReversed(query: JaegerQuery): boolean {
  const { durationMinNano: min, durationMaxNano: max } = query;
  return min !== undefined && max !== undefined && max < min;
}

/** Undefined when the parameter is absent or empty. @throws BadParameter */
export function microsToNano(parameters: URLSearchParams, name: string): bigint | undefined {
  const text = parameters.get(name) ?? '';
  return text === '' ? undefined : BigInt(parseInteger(name, text)) * 1000n;
}

function parseLimit(name: string, text: string | null): number {
  if (text === null || text === '') return defaultLimit;
  const limit = parseInteger(name, text);
  if (limit < 1) throw new BadParameter(`parameter '${name}' should be greater than 0`);
  return limit;
}

function parseTags(parameters: URLSearchParams): Map<string, string> {
  const tags = new Map<string, string>();
  for (const text of parameters.getAll('tag')) {
    const colon = text.indexOf(':');
    if (colon < 0) throw new BadParameter(`malformed 'tag' parameter, expecting key:value, received: ${text}`);
    tags.set(text.slice(0, colon), text.slice(colon + 1));
  }
  for (const text of parameters.getAll('tags')) {
    for (const [key, value] of parseTagsJson('tags', text)) tags.set(key, value);
  }
  return tags;
}

/** Jaeger takes strings only; plain numbers and booleans mean what their text means. */
function parseTagsJson(name: string, text: string): Map<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadParameter(`malformed '${name}' parameter, it is not JSON: ${text}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BadParameter(`malformed '${name}' parameter, expecting an object like {"error":"true"}`);
  }
  const tags = new Map<string, string>();
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry === 'object') throw new BadParameter(`malformed '${name}' parameter, "${key}" must be a string`);
    tags.set(key, String(entry));
  }
  return tags;
}
