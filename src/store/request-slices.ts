// Cuts an encoded OTLP request into its spans without decoding them, and puts requests together from such pieces.
import { requestTag, resourceSpansTag, scopeSpansTag } from '../formats/otlp/fields.ts';
import { ProtobufReader } from '../wire/protobuf-reader.ts';
import { ProtobufWriter } from '../wire/protobuf-writer.ts';

/** What surrounds the spans of one ScopeSpans; every field is kept, unknown ones too. */
export interface Frame {
  /** The fields of the ResourceSpans other than its scope spans, tags included. */
  readonly resource: Uint8Array;
  /** The fields of the ScopeSpans other than its spans, tags included. */
  readonly scope: Uint8Array;
}

/** The spans of one ScopeSpans, each the content of a Span message. */
export interface FramedSpans {
  readonly frame: Frame;
  readonly spans: readonly Uint8Array[];
}

/**
 * The spans of an encoded ExportTraceServiceRequest in order, as views into `request`.
 * @throws ProtobufError when the bytes are no such message
 */
export function sliceRequest(request: Uint8Array): FramedSpans[] {
  const result: FramedSpans[] = [];
  for (const resourceSpans of split(request, [requestTag.resourceSpans]).taken) {
    const { taken, rest: resource } = split(resourceSpans.content, [
      resourceSpansTag.scopeSpans,
      resourceSpansTag.instrumentationLibrarySpans,
    ]);
    const current = taken.filter((field) => field.tag === resourceSpansTag.scopeSpans);
    for (const scopeSpans of current.length > 0 ? current : taken) {
      const { taken: spans, rest: scope } = split(scopeSpans.content, [scopeSpansTag.spans]);
      result.push({ frame: { resource, scope }, spans: spans.map((span) => span.content) });
    }
  }
  return result;
}

/** One encoded request with the given spans, in the given order. */
export function joinRequest(parts: Iterable<FramedSpans>): Uint8Array {
  const writer = new ProtobufWriter(4096);
  for (const { frame, spans } of parts) {
    const resourceSpans = writer.begin(requestTag.resourceSpans >>> 3);
    writer.raw(frame.resource);
    const scopeSpans = writer.begin(resourceSpansTag.scopeSpans >>> 3);
    writer.raw(frame.scope);
    for (const span of spans) writer.bytes(scopeSpansTag.spans >>> 3, span);
    writer.finish(scopeSpans);
    writer.finish(resourceSpans);
  }
  return writer.take();
}

interface Split {
  readonly taken: { readonly tag: number; readonly content: Uint8Array }[];
  readonly rest: Uint8Array;
}

/** Parts a message into the contents of the fields with one of `tags`, and the bytes of all others. */
function split(message: Uint8Array, tags: readonly number[]): Split {
  const reader = new ProtobufReader(message);
  const taken: Split['taken'] = [];
  const rest: Uint8Array[] = [];
  while (!reader.done) {
    const start = reader.position;
    const tag = reader.tag();
    if (tags.includes(tag)) taken.push({ tag, content: reader.bytes() });
    else {
      reader.skip(tag);
      rest.push(message.subarray(start, reader.position));
    }
  }
  return { taken, rest: rest.length === 1 ? rest[0]! : Buffer.concat(rest) };
}
