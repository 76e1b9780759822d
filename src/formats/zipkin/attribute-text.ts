// Attribute values as Zipkin's tags and annotations hold them: text.
import type { AnyValue, KeyValue } from '../otlp/span.ts';

/**
 * A value as tag text: strings as they are, bools and numbers in decimal, arrays and maps as JSON, bytes as base64,
 * an empty value as '' (OpenTelemetry, "Mapping to non-OTLP Formats", AnyValue).
 */
export function attributeText(value: AnyValue): string {
  switch (value.kind) {
    case 'string':
      return value.value;
    case 'empty':
      return '';
    case 'bool':
    case 'int':
    case 'double':
      return String(value.value);
    case 'bytes':
      return Buffer.from(value.value).toString('base64');
    case 'array':
    case 'kvlist':
      return valueJson(value);
  }
}

/** Attributes as one JSON object, keys in their order. */
export function attributesJson(attributes: readonly KeyValue[]): string {
  return `{${attributes.map(({ key, value }) => `${JSON.stringify(key)}:${valueJson(value)}`).join(',')}}`;
}

/** Written by hand because JSON.stringify has no way to write a 64-bit integer. */
function valueJson(value: AnyValue): string {
  switch (value.kind) {
    case 'string':
      return JSON.stringify(value.value);
    case 'empty':
      return 'null';
    case 'bool':
    case 'int':
      return String(value.value);
    case 'double':
      return Number.isFinite(value.value) ? String(value.value) : JSON.stringify(String(value.value));
    case 'bytes':
      return JSON.stringify(Buffer.from(value.value).toString('base64'));
    case 'array':
      return `[${value.values.map(valueJson).join(',')}]`;
    case 'kvlist':
      return attributesJson(value.values);
  }
}
