// Traces as a Zipkin server gives them back: translated, then normalised as it does on the way in.
import { decodeRequest } from '../formats/otlp/decode.ts';
import type { ZipkinAnnotation, ZipkinEndpoint, ZipkinSpan } from '../formats/zipkin/span.ts';
import { translateRequest } from '../formats/zipkin/translate.ts';
import { encodeSpans, missingServiceName } from './indexed-span.ts';
import type { StoredTrace } from './trace-store.ts';

/** The name Zipkin knows a service by: lower case, and the translation's word for a missing one. */
export function zipkinServiceName(service: string): string {
  return service === missingServiceName ? 'unknown_service' : service.toLowerCase();
}

/** The spans of a trace as Zipkin answers them, by start. */
export function toZipkinTrace(trace: StoredTrace): ZipkinSpan[] {
  return translateRequest(decodeRequest(encodeSpans(trace.spans)))
    .map(normalise)
    .sort(compareSpans);
}

/** What zipkin2.Span makes of a span: names in lower case, tags sorted, annotations sorted and told once. */
function normalise(span: ZipkinSpan): ZipkinSpan {
  const { parentId, name, localEndpoint, remoteEndpoint, annotations, tags, ...rest } = span;
  const sortedTags = Object.entries(tags ?? {}).sort(([a], [b]) => compareText(a, b));
  const sortedAnnotations = distinct(annotations ?? []);
  const local = normaliseEndpoint(localEndpoint);
  const remote = normaliseEndpoint(remoteEndpoint);
  return {
    ...rest,
    traceId: zipkinTraceId(span.traceId),
    ...(parentId === undefined || parentId === span.id ? {} : { parentId }),
    ...(name === undefined || name === '' ? {} : { name: name.toLowerCase() }),
    ...(local === undefined ? {} : { localEndpoint: local }),
    ...(remote === undefined ? {} : { remoteEndpoint: remote }),
    ...(sortedAnnotations.length === 0 ? {} : { annotations: sortedAnnotations }),
    ...(sortedTags.length === 0 ? {} : { tags: Object.fromEntries(sortedTags) }),
  };
}

/** A trace id of 128 bits whose upper half is zero is one of 64 bits. */
export function zipkinTraceId(traceId: string): string {
  return traceId.startsWith('0000000000000000') ? traceId.slice(16) : traceId;
}

function normaliseEndpoint(endpoint: ZipkinEndpoint | undefined): ZipkinEndpoint | undefined {
  if (endpoint === undefined) return undefined;
  const { serviceName, ...address } = endpoint;
  const named = serviceName === undefined || serviceName === '' ? {} : { serviceName: serviceName.toLowerCase() };
  const whole = { ...named, ...address };
  return Object.keys(whole).length === 0 ? undefined : whole;
}

function distinct(annotations: readonly ZipkinAnnotation[]): ZipkinAnnotation[] {
  const sorted = [...annotations].sort((a, b) => a.timestamp - b.timestamp || compareText(a.value, b.value));
  return sorted.filter(({ timestamp, value }, index) => {
    const before = sorted[index - 1];
    return before === undefined || before.timestamp !== timestamp || before.value !== value;
  });
}

function compareSpans(a: ZipkinSpan, b: ZipkinSpan): number {
  return (a.timestamp ?? 0) - (b.timestamp ?? 0) || compareText(a.id, b.id);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
