// Translates decoded OTLP spans to Zipkin v2, in the spellings of OpenTelemetry's specification.
import type { KeyValue, ResourceSpans, Scope, Span, SpanEvent } from '../otlp/span.ts';
import { attributesJson, attributeText } from './attribute-text.ts';
import { remoteEndpoint } from './remote-endpoint.ts';
import type { ZipkinAnnotation, ZipkinEndpoint, ZipkinKind, ZipkinSpan } from './span.ts';

/** By OTLP's SpanKind: UNSPECIFIED and INTERNAL have no kind in Zipkin. */
const kinds: readonly (ZipkinKind | undefined)[] = [undefined, undefined, 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const statusNames = ['', 'OK', 'ERROR'];

/**
 * Translates a request's spans, in their order (OpenTelemetry specification, "Zipkin Exporter").
 *
 * Where the specification is silent or Zipkin needs more, this is what is done:
 * - resource attributes become tags of every span, but for service.name, which is the local endpoint; span attributes
 *   of the same name win, and the last of several attributes with one name;
 * - a resource without service.name is `unknown_service`;
 * - the local endpoint's address and port come from network.local.address and network.local.port;
 * - keys used for an endpoint stay tags;
 * - the remote endpoint's name may be an address, see `remoteEndpoint`;
 * - a duration shorter than a microsecond is 1, one of zero or less is left out, and so is a timestamp of zero;
 * - ERROR without a message keeps an `error` attribute the span has, where the specification would empty it;
 * - a status message without ERROR is the tag `otel.status_description`;
 * - links are tags `otlp.link.N` (`traceId|spanId|traceState|{attributes}|dropped`), tracestate is `w3c.tracestate`,
 *   as the Collector's exporter writes them;
 * - scope attributes, schema URLs, flags, and the dropped counts of events and links have no place and are lost.
 */
export function translateRequest(request: readonly ResourceSpans[]): ZipkinSpan[] {
  return request.flatMap(({ resource, scopeSpans }) => {
    const local = localEndpointName(resource);
    const resourceTags = resource.filter(({ key }) => key !== 'service.name');
    return scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => translateSpan(span, local, resourceTags, scope)),
    );
  });
}

function localEndpointName(resource: readonly KeyValue[]): string {
  const name = resource.findLast(({ key }) => key === 'service.name')?.value;
  return name === undefined || name.kind === 'empty' ? 'unknown_service' : attributeText(name);
}

function translateSpan(span: Span, service: string, resource: readonly KeyValue[], scope: Scope): ZipkinSpan {
  const kind = kinds[span.kind];
  const remote = kind === 'CLIENT' || kind === 'PRODUCER' ? remoteEndpoint(span.attributes) : undefined;
  const timestamp = micros(span.startTimeUnixNano);
  const duration = durationMicros(span);
  const annotations = span.events.map(annotation);
  return {
    traceId: span.traceId,
    ...(span.parentSpanId === '' ? {} : { parentId: span.parentSpanId }),
    id: span.spanId,
    ...(kind === undefined ? {} : { kind }),
    name: span.name,
    ...(timestamp > 0 ? { timestamp } : {}),
    ...(duration > 0 ? { duration } : {}),
    localEndpoint: localEndpoint(service, span.attributes),
    ...(remote === undefined ? {} : { remoteEndpoint: remote }),
    ...(annotations.length === 0 ? {} : { annotations }),
    tags: tagsOf(span, resource, scope),
  };
}

function localEndpoint(serviceName: string, attributes: readonly KeyValue[]): ZipkinEndpoint {
  const local = attributes.filter(({ key }) => key.startsWith('network.local.'));
  if (local.length === 0) return { serviceName };
  // Under other names the question is the same one: an address and its port.
  const asPeer = local.map(({ key, value }) => ({ key: key.replace('.local.', '.peer.'), value }));
  return { ...remoteEndpoint(asPeer), serviceName };
}

/** Whole microseconds; what is left of one is cut off. Exact until the year 2255. */
function micros(nanos: bigint): number {
  return Number(nanos / 1000n);
}

function durationMicros({ startTimeUnixNano, endTimeUnixNano }: Span): number {
  if (endTimeUnixNano <= startTimeUnixNano) return 0;
  return Math.max(1, micros(endTimeUnixNano - startTimeUnixNano));
}

/** `name`, or `"name": {attributes}` when there are any. */
function annotation({ timeUnixNano, name, attributes }: SpanEvent): ZipkinAnnotation {
  const value = attributes.length === 0 ? name : `${JSON.stringify(name)}: ${attributesJson(attributes)}`;
  return { timestamp: micros(timeUnixNano), value };
}

type Tags = Record<string, string>;

/** A plain object: of all ways to gather tags the one that JSON.stringify then writes fastest. */
function tagsOf(span: Span, resource: readonly KeyValue[], scope: Scope): Tags {
  const tags: Tags = {};
  for (const { key, value } of resource) setTag(tags, key, attributeText(value));
  setScope(tags, 'name', scope.name);
  setScope(tags, 'version', scope.version);
  for (const { key, value } of span.attributes) setTag(tags, key, attributeText(value));
  setStatus(tags, span);
  setCount(tags, 'otel.dropped_attributes_count', span.droppedAttributesCount);
  setCount(tags, 'otel.dropped_events_count', span.droppedEventsCount);
  setCount(tags, 'otel.dropped_links_count', span.droppedLinksCount);
  if (span.traceState !== '') tags['w3c.tracestate'] = span.traceState;
  for (const [index, link] of span.links.entries()) {
    const { traceId, spanId, traceState, attributes, droppedAttributesCount } = link;
    const parts = [traceId, spanId, traceState, attributesJson(attributes), droppedAttributesCount];
    tags[`otlp.link.${index}`] = parts.join('|');
  }
  return tags;
}

/** Assigning `__proto__` would set the prototype instead of a tag. */
function setTag(tags: Tags, key: string, value: string): void {
  if (key === '__proto__')
    Object.defineProperty(tags, key, { value, enumerable: true, configurable: true, writable: true });
  else tags[key] = value;
}

/** Under today's name and, as the specification still asks, under the one of before 1.10. */
function setScope(tags: Tags, part: 'name' | 'version', value: string): void {
  if (value === '') return;
  tags[`otel.scope.${part}`] = value;
  tags[`otel.library.${part}`] = value;
}

/** Zipkin counts a span as failed when there is a tag `error`, whatever its value: so `error=false` must not stay. */
function setStatus(tags: Tags, { statusCode, statusMessage }: Span): void {
  if (tags.error === 'false') delete tags.error;
  if (statusCode !== 0) tags['otel.status_code'] = statusNames[statusCode]!;
  if (statusCode === 2) tags.error = statusMessage || (tags.error ?? '');
  else if (statusMessage !== '') tags['otel.status_description'] = statusMessage;
}

function setCount(tags: Tags, name: string, count: number): void {
  if (count > 0) tags[name] = String(count);
}

/**
 * The body of a POST to /api/v2/spans. Zipkin takes any body with the bytes `yAnnotations"` for its version 1 and
 * refuses it, so those are written with an escape.
 */
export function encodeZipkinJson(spans: readonly ZipkinSpan[]): Uint8Array {
  return Buffer.from(JSON.stringify(spans).replaceAll('yAnnotations"', '\\u0079Annotations"'));
}
