// Writes decoded spans in OTLP's JSON mapping, as the Collector writes it.
import type { AnyValue, KeyValue, ResourceSpans, Scope, Span, SpanEvent, SpanLink } from './span.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * `{resourceSpans: [...]}` as values for JSON.stringify: lower-case hex ids, 64-bit integers as decimal text, enums as
 * numbers, defaults left out, but always a `status` (OTLP, "JSON Protobuf Encoding").
 */
export function requestToJson(request: readonly ResourceSpans[]): { readonly resourceSpans: readonly Json[] } {
  return { resourceSpans: request.map(resourceSpansToJson) };
}

function resourceSpansToJson({ resource, scopeSpans, schemaUrl }: ResourceSpans): Json {
  return {
    resource: attributesToJson(resource),
    scopeSpans: scopeSpans.map((scope) => ({
      scope: scopeToJson(scope.scope),
      spans: scope.spans.map(spanToJson),
      ...textField('schemaUrl', scope.schemaUrl),
    })),
    ...textField('schemaUrl', schemaUrl),
  };
}

function scopeToJson({ name, version, attributes }: Scope): Json {
  return { ...textField('name', name), ...textField('version', version), ...attributesToJson(attributes) };
}

function spanToJson(span: Span): Json {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...textField('traceState', span.traceState),
    ...textField('parentSpanId', span.parentSpanId),
    ...numberField('flags', span.flags),
    name: span.name,
    ...numberField('kind', span.kind),
    startTimeUnixNano: String(span.startTimeUnixNano),
    endTimeUnixNano: String(span.endTimeUnixNano),
    ...attributesToJson(span.attributes),
    ...numberField('droppedAttributesCount', span.droppedAttributesCount),
    ...(span.events.length === 0 ? {} : { events: span.events.map(eventToJson) }),
    ...numberField('droppedEventsCount', span.droppedEventsCount),
    ...(span.links.length === 0 ? {} : { links: span.links.map(linkToJson) }),
    ...numberField('droppedLinksCount', span.droppedLinksCount),
    status: { ...textField('message', span.statusMessage), ...numberField('code', span.statusCode) },
  };
}

function eventToJson(event: SpanEvent): Json {
  return {
    timeUnixNano: String(event.timeUnixNano),
    name: event.name,
    ...attributesToJson(event.attributes),
    ...numberField('droppedAttributesCount', event.droppedAttributesCount),
  };
}

function linkToJson(link: SpanLink): Json {
  return {
    traceId: link.traceId,
    spanId: link.spanId,
    ...textField('traceState', link.traceState),
    ...attributesToJson(link.attributes),
    ...numberField('droppedAttributesCount', link.droppedAttributesCount),
    ...numberField('flags', link.flags),
  };
}

function attributesToJson(attributes: readonly KeyValue[]): Json {
  return attributes.length === 0 ? {} : { attributes: attributes.map(keyValueToJson) };
}

function keyValueToJson({ key, value }: KeyValue): Json {
  return { key, value: valueToJson(value) };
}

function valueToJson(value: AnyValue): Json {
  switch (value.kind) {
    case 'empty':
      return {};
    case 'string':
      return { stringValue: value.value };
    case 'bool':
      return { boolValue: value.value };
    case 'int':
      return { intValue: String(value.value) };
    case 'double':
      return { doubleValue: Number.isFinite(value.value) ? value.value : String(value.value) };
    case 'bytes':
      return { bytesValue: Buffer.from(value.value).toString('base64') };
    case 'array':
      return { arrayValue: { values: value.values.map(valueToJson) } };
    case 'kvlist':
      return { kvlistValue: { values: value.values.map(keyValueToJson) } };
  }
}

function textField(name: string, value: string): Json {
  return value === '' ? {} : { [name]: value };
}

function numberField(name: string, value: number): Json {
  return value === 0 ? {} : { [name]: value };
}
