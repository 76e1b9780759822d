// Joins and parts encoded requests without decoding spans: a request is one repeated field, so bytes concatenate.
import { ProtobufReader } from '../../wire/protobuf-reader.ts';
import { ProtobufWriter } from '../../wire/protobuf-writer.ts';
import { countSpans } from './count.ts';
import { requestTag, resourceSpansTag, scopeSpansTag } from './fields.ts';

/** An encoded request and how many spans it holds. */
export interface CountedRequest {
  readonly bytes: Uint8Array;
  readonly spans: number;
}

/** One request with the resources of all, in their order; a single one is returned as it is. */
export function concatRequests(requests: readonly Uint8Array[]): Uint8Array {
  const [first] = requests;
  return requests.length === 1 && first !== undefined ? first : Buffer.concat(requests);
}

/**
 * Parts a valid request in two of about the same size: between resources, else between the scopes of the only
 * resource, else between the spans of the only scope (both halves then carry that resource and scope).
 * @returns undefined when it holds fewer than two spans
 */
export function splitRequest(request: CountedRequest): readonly [CountedRequest, CountedRequest] | undefined {
  if (request.spans < 2) return undefined;
  const halves = splitMessage(request.bytes, 0);
  if (halves === undefined) return undefined;
  const spans = countSpans(halves[0]);
  return [
    { bytes: halves[0], spans },
    { bytes: halves[1], spans: request.spans - spans },
  ];
}

/**
 * Parts a valid request until every piece is at most `maxBytes` long, keeping the order.
 * A single span that is longer comes out as a piece of its own, for the caller to judge.
 */
export function splitToSize(request: CountedRequest, maxBytes: number): CountedRequest[] {
  if (request.bytes.byteLength <= maxBytes) return [request];
  const halves = splitRequest(request);
  if (halves === undefined) return [request];
  return halves.flatMap((half) => splitToSize(half, maxBytes));
}

type Level = 0 | 1 | 2;

/** The tag of the repeated field that leads to spans, by level: resources, scopes, spans. */
const repeatedTags = [requestTag.resourceSpans, resourceSpansTag.scopeSpans, scopeSpansTag.spans] as const;

interface Field {
  readonly start: number;
  readonly content: number;
  readonly end: number;
  readonly isRepeated: boolean;
}

function splitMessage(message: Uint8Array, level: Level): readonly [Uint8Array, Uint8Array] | undefined {
  const fields = readFields(message, repeatedTags[level]);
  const filled = fields.filter((field) => field.isRepeated && (level === 2 || holdsSpans(message, field, level)));
  const [only] = filled;
  if (only === undefined) return undefined;
  if (filled.length > 1) return splitBetween(message, fields, filled);
  if (level === 2) return undefined;
  const inner = splitMessage(message.subarray(only.content, only.end), (level + 1) as Level);
  if (inner === undefined) return undefined;
  const [first, second] = inner;
  return [replaceField(message, fields, only, first, level), replaceField(message, fields, only, second, level)];
}

/** Everything that is not one of the repeated fields (resource, scope, schema URL, unknown ones) goes to both halves. */
function splitBetween(
  message: Uint8Array,
  fields: readonly Field[],
  filled: readonly Field[],
): readonly [Uint8Array, Uint8Array] {
  const total = filled.reduce((sum, field) => sum + field.end - field.start, 0);
  let taken = 0;
  let boundary = filled.at(-1)!.start;
  for (const [index, field] of filled.entries()) {
    if (index > 0 && taken + (field.end - field.start) / 2 > total / 2) {
      boundary = field.start;
      break;
    }
    taken += field.end - field.start;
  }
  const half = (keep: (field: Field) => boolean) =>
    Buffer.concat(fields.filter((f) => !f.isRepeated || keep(f)).map((f) => message.subarray(f.start, f.end)));
  return [half((field) => field.start < boundary), half((field) => field.start >= boundary)];
}

function replaceField(
  message: Uint8Array,
  fields: readonly Field[],
  replaced: Field,
  content: Uint8Array,
  level: Level,
): Uint8Array {
  const writer = new ProtobufWriter(message.byteLength - (replaced.end - replaced.content) + content.byteLength + 16);
  for (const field of fields) {
    if (field === replaced) writer.bytes(repeatedTags[level] >>> 3, content);
    else if (!field.isRepeated) writer.raw(message.subarray(field.start, field.end));
  }
  return writer.take();
}

function holdsSpans(message: Uint8Array, field: Field, level: 0 | 1): boolean {
  return countSpans(message, field.content, field.end, level === 0 ? 1 : 2) > 0;
}

function readFields(message: Uint8Array, repeatedTag: number): Field[] {
  const reader = new ProtobufReader(message);
  const fields: Field[] = [];
  while (!reader.done) {
    const start = reader.position;
    const tag = reader.tag();
    reader.skip(tag);
    const end = reader.position;
    fields.push({ start, content: contentOf(reader, tag, start), end, isRepeated: tag === repeatedTag });
    reader.position = end;
  }
  return fields;
}

function contentOf(reader: ProtobufReader, tag: number, start: number): number {
  if ((tag & 7) !== 2) return start;
  reader.position = start;
  reader.tag();
  const outer = reader.enter();
  reader.end = outer;
  return reader.position;
}
