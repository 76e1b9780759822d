// Reads an ExportTraceServiceRequest in OTLP's JSON mapping into protobuf bytes, so that one road leads on from there.
import { maxNesting } from '../../wire/protobuf-reader.ts';
import { ProtobufWriter } from '../../wire/protobuf-writer.ts';
import { type JsonMessage, jsonRequest } from './json-fields.ts';
import { JsonFault, writeScalar } from './json-scalar.ts';
import { type Malformed, type Walked, walk } from './walk.ts';

/**
 * Reads and walks a JSON request; the result's `bytes` are protobuf.
 *
 * Tolerant as the Collector's reader: snake_case names, names of enum values, hex in either case, integers as numbers or
 * text, without loss above 2^53; unknown names and nulls are passed over. `instrumentationLibrarySpans` are taken for
 * scopeSpans. A value that does not fit costs its span (or the spans under its scope or resource), not the request.
 */
export function walkJson(body: Uint8Array): Walked | Malformed {
  let value: unknown;
  try {
    value = JSON.parse(keepLongIntegers(new TextDecoder('utf-8', { fatal: true }).decode(body)));
  } catch (error) {
    return { kind: 'malformed', reason: `not JSON: ${error instanceof Error ? error.message : 'unreadable'}` };
  }
  const transcoder = new Transcoder();
  try {
    transcoder.message(jsonRequest, value, 'the request', 0);
  } catch (error) {
    if (error instanceof JsonFault) return { kind: 'malformed', reason: error.message };
    throw error;
  }
  const result = walk(transcoder.writer.take());
  if (result.kind === 'malformed') return result;
  return {
    ...result,
    rejectedSpans: result.rejectedSpans + transcoder.rejectedSpans,
    reason: transcoder.reason || result.reason,
  };
}

const hasLongInteger = /[:,[\s]-?\d{16,}\s*[,}\]]/;
const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** JSON.parse rounds integers above 2^53, as nanoseconds are: those go into quotes, which OTLP allows them anyway. */
function keepLongIntegers(text: string): string {
  if (!hasLongInteger.test(text)) return text;
  return text.replace(stringOrNumber, (token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token));
}

class Transcoder {
  readonly writer = new ProtobufWriter();
  rejectedSpans = 0;
  reason = '';

  /** Writes the fields of a message; a fault in one that isolates takes back what it wrote, and only that. */
  message(message: JsonMessage, value: unknown, name: string, depth: number): void {
    if (depth > maxNesting) throw new JsonFault(`nested more than ${maxNesting} levels deep`);
    if (!isObject(value)) throw new JsonFault(`${name} is not an object`);
    for (const [key, item] of Object.entries(value)) {
      if (item === null) continue;
      const field = message.fields.get(key) ?? message.fields.get(toCamelCase(key));
      if (field === undefined) continue;
      const items = field.isRepeated ? asArray(item, key) : [item];
      for (const one of items) this.field(field.number, field.type, one, key, depth + 1);
    }
  }

  private field(
    number: number,
    type: JsonMessage | Parameters<typeof writeScalar>[2],
    value: unknown,
    key: string,
    depth: number,
  ): void {
    if (typeof type === 'string') {
      writeScalar(this.writer, number, type, value, key);
      return;
    }
    const before = { size: this.writer.size, rejectedSpans: this.rejectedSpans };
    const mark = this.writer.begin(number);
    try {
      this.message(type, value, key, depth);
      this.writer.finish(mark);
    } catch (error) {
      if (!type.isolates || !(error instanceof JsonFault)) throw error;
      this.writer.truncate(before.size);
      this.rejectedSpans = before.rejectedSpans + countJsonSpans(key, value);
      if (this.reason === '') this.reason = `${key}: ${error.message}`;
    }
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asArray(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new JsonFault(`${name} is not an array`);
  return value;
}

function toCamelCase(key: string): string {
  return key.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** How many spans a refused part holds: itself, or what lies in its lists of scopes and spans. */
function countJsonSpans(key: string, value: unknown): number {
  if (key === 'spans') return 1;
  if (!isObject(value)) return 0;
  let spans = 0;
  for (const [name, list] of Object.entries(value)) {
    const camel = toCamelCase(name);
    if (!Array.isArray(list)) continue;
    if (camel === 'spans') spans += list.length;
    else if (camel === 'scopeSpans' || camel === 'instrumentationLibrarySpans') {
      for (const scope of list) spans += countJsonSpans(camel, scope);
    }
  }
  return spans;
}
