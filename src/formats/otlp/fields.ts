// Tags (field number * 8 + wire type) of the OTLP trace messages; from opentelemetry-proto 1.11, trace.proto and
// common.proto.

export const requestTag = { resourceSpans: 0x0a } as const;

export const resourceSpansTag = {
  resource: 0x0a,
  scopeSpans: 0x12,
  schemaUrl: 0x1a,
  /** Field 1000, where scope_spans stood before OTLP 0.15: `instrumentation_library_spans`, the same message. */
  instrumentationLibrarySpans: 8002,
} as const;

export const resourceTag = { attributes: 0x0a, droppedAttributesCount: 0x10, entityRefs: 0x1a } as const;

export const scopeSpansTag = { scope: 0x0a, spans: 0x12, schemaUrl: 0x1a } as const;

export const scopeTag = { name: 0x0a, version: 0x12, attributes: 0x1a, droppedAttributesCount: 0x20 } as const;

export const spanTag = {
  traceId: 0x0a,
  spanId: 0x12,
  traceState: 0x1a,
  parentSpanId: 0x22,
  name: 0x2a,
  kind: 0x30,
  startTimeUnixNano: 0x39,
  endTimeUnixNano: 0x41,
  attributes: 0x4a,
  droppedAttributesCount: 0x50,
  events: 0x5a,
  droppedEventsCount: 0x60,
  links: 0x6a,
  droppedLinksCount: 0x70,
  status: 0x7a,
  flags: 0x85,
} as const;

export const eventTag = { timeUnixNano: 0x09, name: 0x12, attributes: 0x1a, droppedAttributesCount: 0x20 } as const;

export const linkTag = {
  traceId: 0x0a,
  spanId: 0x12,
  traceState: 0x1a,
  attributes: 0x22,
  droppedAttributesCount: 0x28,
  flags: 0x35,
} as const;

export const statusTag = { message: 0x12, code: 0x18 } as const;

export const keyValueTag = { key: 0x0a, value: 0x12, keyStrindex: 0x18 } as const;

export const anyValueTag = {
  stringValue: 0x0a,
  boolValue: 0x10,
  intValue: 0x18,
  doubleValue: 0x21,
  arrayValue: 0x2a,
  kvlistValue: 0x32,
  bytesValue: 0x3a,
  stringValueStrindex: 0x40,
} as const;

/** ArrayValue and KeyValueList both have one field, `values`. */
export const valuesTag = 0x0a;
