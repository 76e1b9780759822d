// Which traces a Zipkin search means: the conditions may hold on different spans of the service (zipkin2 QueryRequest).
import type { ZipkinSpan } from '../formats/zipkin/span.ts';
import { BadParameter } from './bad-parameter.ts';
import { findTraces } from './find-traces.ts';
import type { StoredTrace, TraceStore } from './trace-store.ts';
import { toZipkinTrace, zipkinServiceName } from './zipkin-json.ts';

export interface ZipkinQuery {
  readonly serviceName: string | undefined;
  readonly remoteServiceName: string | undefined;
  readonly spanName: string | undefined;
  /** Key to value; '' is any value, or an annotation of that text. */
  readonly annotationQuery: ReadonlyMap<string, string>;
  /** Microseconds. */
  readonly minDuration: number | undefined;
  readonly maxDuration: number | undefined;
  /** Milliseconds since 1970. */
  readonly endTs: number;
  /** Milliseconds. */
  readonly lookback: number;
  readonly limit: number;
}

const dayMs = 86_400_000;

/** The query of `GET /api/v2/traces`. @throws BadParameter in Zipkin's words */
export function parseZipkinQuery(parameters: URLSearchParams, nowMs: number): ZipkinQuery {
  const name = (key: string) => parameters.get(key)?.toLowerCase() || undefined;
  const spanName = name('spanName');
  const minDuration = positive(parameters, 'minDuration');
  const maxDuration = positive(parameters, 'maxDuration');
  if (maxDuration !== undefined && minDuration === undefined) {
    throw new BadParameter('maxDuration is only valid with minDuration');
  }
  if (maxDuration !== undefined && minDuration !== undefined && maxDuration < minDuration) {
    throw new BadParameter('maxDuration < minDuration');
  }
  return {
    serviceName: name('serviceName'),
    remoteServiceName: name('remoteServiceName'),
    spanName: spanName === 'all' ? undefined : spanName,
    annotationQuery: parseAnnotationQuery(parameters.get('annotationQuery') ?? ''),
    minDuration,
    maxDuration,
    endTs: positive(parameters, 'endTs') ?? nowMs,
    lookback: positive(parameters, 'lookback') ?? dayMs,
    limit: positive(parameters, 'limit') ?? 10,
  };
}

function positive(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? '';
  if (text === '') return undefined;
  const number = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(number)) {
    throw new BadParameter(`${name}: "${text}" is not a whole number`);
  }
  if (number <= 0) throw new BadParameter(`${name} <= 0`);
  return number;
}

/** `error and http.method=GET`. */
function parseAnnotationQuery(text: string): Map<string, string> {
  const query = new Map<string, string>();
  for (const part of text.split(' and ').map((each) => each.trim())) {
    const equals = part.indexOf('=');
    if (part === '' || equals === 0) continue;
    if (equals > 0) query.set(part.slice(0, equals), part.slice(equals + 1));
    else if (!query.has(part)) query.set(part, '');
  }
  return query;
}

/** The matching traces as Zipkin's JSON, newest start first. */
export async function searchZipkin(store: TraceStore, query: ZipkinQuery): Promise<ZipkinSpan[][]> {
  const rendered = new Map<StoredTrace, ZipkinSpan[]>();
  const found = await findTraces(store, query.limit, (trace) => {
    if (!mayMatch(trace, query)) return false;
    const spans = toZipkinTrace(trace);
    if (!matches(spans, query)) return false;
    rendered.set(trace, spans);
    return true;
  });
  return found.map((trace) => rendered.get(trace)!);
}

/** From the index alone: false when no span can make the trace match. */
function mayMatch(trace: StoredTrace, query: ZipkinQuery): boolean {
  let inWindow = false;
  let ofService = query.serviceName === undefined;
  for (const span of trace.spans) {
    inWindow ||= isInWindow(Number(span.startTimeUnixNano / 1000n), query);
    ofService ||= zipkinServiceName(span.group.service) === query.serviceName;
    if (inWindow && ofService) return true;
  }
  return false;
}

function isInWindow(timestampUs: number, { endTs, lookback }: ZipkinQuery): boolean {
  return timestampUs >= (endTs - lookback) * 1000 && timestampUs <= endTs * 1000;
}

function matches(spans: readonly ZipkinSpan[], query: ZipkinQuery): boolean {
  if (!isInWindow(timestampOf(spans), query)) return false;
  const own = spans.filter(
    (span) => query.serviceName === undefined || span.localEndpoint?.serviceName === query.serviceName,
  );
  return (
    (query.remoteServiceName === undefined ||
      own.some((span) => span.remoteEndpoint?.serviceName === query.remoteServiceName)) &&
    (query.spanName === undefined || own.some((span) => span.name === query.spanName)) &&
    own.some((span) => hasDuration(span, query)) &&
    [...query.annotationQuery].every(([key, value]) => own.some((span) => hasAnnotation(span, key, value)))
  );
}

/** The root's, or any span's when there is no root. */
function timestampOf(spans: readonly ZipkinSpan[]): number {
  const timed = spans.filter((span) => span.timestamp !== undefined);
  return (timed.find((span) => span.parentId === undefined) ?? timed.at(-1))?.timestamp ?? 0;
}

function hasDuration({ duration }: ZipkinSpan, { minDuration, maxDuration }: ZipkinQuery): boolean {
  if (minDuration === undefined) return true;
  return duration !== undefined && duration >= minDuration && (maxDuration === undefined || duration <= maxDuration);
}

function hasAnnotation(span: ZipkinSpan, key: string, value: string): boolean {
  const tag = Object.hasOwn(span.tags ?? {}, key) ? span.tags?.[key] : undefined;
  if (tag !== undefined && (value === '' || tag === value)) return true;
  return value === '' && (span.annotations ?? []).some((annotation) => annotation.value === key);
}
