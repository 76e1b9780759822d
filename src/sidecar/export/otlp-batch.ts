// The open batch: spans appended one after another, then sealed into one ExportTraceServiceRequest without copying.
import { version } from '../version.ts';
import { encodeKey } from './attribute-keys.ts';
import { SpanWriter, varintSize } from './span-writer.ts';

/** A sealed request: what is sent, repeated byte for byte until it is settled. */
export interface Batch {
  readonly body: Uint8Array;
  readonly spanCount: number;
  /** `tracecar-batch` (R25): `<instance>/<epoch>/<seq>`. */
  readonly id: string;
  /** What `body` is a part of: to be given back by `recycle` once nothing reads it any more. */
  readonly buffer: Buffer;
}

/** Buffers kept for the next batches. Fresh memory costs a page fault per 4 KiB, more than writing a span into it. */
const maxSpare = 4;
const maxSpareBytes = 1 << 20;

/** Encodes `Resource` (ResourceSpans field 1) and `InstrumentationScope` (ScopeSpans field 1) once. */
export class OtlpBatch {
  readonly #resource: Uint8Array;
  readonly #scope: Uint8Array;
  readonly #headRoom: number;
  #writer: SpanWriter;
  readonly #spare: Buffer[] = [];
  /** Spans in the open batch. */
  count = 0;

  constructor(serviceName: string, resource: ReadonlyMap<string, string>) {
    const attributes = new Map([
      ['service.name', serviceName],
      ['telemetry.sdk.name', 'tracecar'],
      ['telemetry.sdk.language', 'nodejs'],
      ['telemetry.sdk.version', version],
      ...resource,
    ]);
    this.#resource = message(
      0x0a,
      [...attributes].map(([key, value]) => keyValue(key, value)),
    );
    this.#scope = message(0x0a, [stringField(0x0a, 'tracecar'), stringField(0x12, version)]);
    this.#headRoom = this.#resource.length + this.#scope.length + 2 * 6;
    this.#writer = new SpanWriter(this.#headRoom);
  }

  /** Where spans are written; call `count++` after each. */
  get writer(): SpanWriter {
    return this.#writer;
  }

  /** Bytes of spans so far. */
  get bytes(): number {
    return this.#writer.position - this.#headRoom;
  }

  /** Undoes a span whose encoding failed half-way. */
  rewind(position: number): void {
    this.#writer.position = position;
  }

  /** Closes the batch and opens the next; the headers are written backwards into the room left in front. */
  seal(id: string): Batch {
    const { bytes, position } = this.#writer;
    const scopeSpans = this.#scope.length + (position - this.#headRoom);
    let start = this.#headRoom - this.#scope.length;
    bytes.set(this.#scope, start);
    start = writeHeaderBefore(bytes, start, 0x12, scopeSpans);
    start -= this.#resource.length;
    bytes.set(this.#resource, start);
    start = writeHeaderBefore(bytes, start, 0x0a, position - start);
    const batch = { body: bytes.subarray(start, position), spanCount: this.count, id, buffer: bytes };
    this.#writer = new SpanWriter(this.#headRoom, Math.min(bytes.length, maxSpareBytes), this.#spare.pop());
    this.count = 0;
    return batch;
  }

  /** Takes the buffer of a batch that has been delivered. */
  recycle({ buffer }: Batch): void {
    if (this.#spare.length < maxSpare && buffer.length <= maxSpareBytes) this.#spare.push(buffer);
  }
}

function writeHeaderBefore(bytes: Uint8Array, end: number, tag: number, size: number): number {
  const start = end - 1 - varintSize(size);
  bytes[start] = tag;
  let rest = size;
  let at = start + 1;
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at] = rest;
  return start;
}

function message(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  const writer = new SpanWriter(0, body.length + 16);
  writer.byte(tag);
  writer.varint(body.length);
  writer.raw(body);
  return Uint8Array.from(writer.bytes.subarray(0, writer.position));
}

function stringField(tag: number, text: string): Uint8Array {
  return message(tag, [Buffer.from(text)]);
}

/** Resource.attributes is field 1 of KeyValue messages. */
function keyValue(key: string, value: string): Uint8Array {
  return message(0x0a, [encodeKey(key), message(0x12, [stringField(0x0a, value)])]);
}
