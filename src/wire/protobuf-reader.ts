// Reads protobuf's binary encoding: a cursor over bytes that checks everything it passes.

/** Malformed bytes. `fault` says whose mistake it is: the peer that sent them. */
export class ProtobufError extends Error {
  readonly code = 'PROTOBUF_MALFORMED';
  readonly fault = 'client';
  override readonly name = 'ProtobufError';
}

/** Wire types (protobuf.dev, "Message Structure"); 6 and 7 do not exist. */
export const wireType = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

/** Messages may be nested this deep below the outermost one, groups included: the limit of Google's own decoders. */
export const maxNesting = 100;

/**
 * A cursor over one message. Nested messages are read in place: `enter()`, read until `done`, `leave()`.
 * Every method throws ProtobufError when the bytes end too early or break the encoding.
 */
export class ProtobufReader {
  readonly buffer: Buffer;
  position: number;
  end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.byteLength) {
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = start;
    this.end = end;
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  /** Field number times 8 plus wire type; never field 0, never wire type 6 or 7. */
  tag(): number {
    const tag = this.uint32Strict('tag');
    if (tag >>> 3 === 0 || (tag & 7) > 5) throw new ProtobufError(`illegal tag ${tag} at byte ${this.position}`);
    return tag;
  }

  /** A varint cut to its low 32 bits, unsigned: enum values, counts, bools. */
  uint32(): number {
    let value = 0;
    for (let index = 0; index < 10; index++) {
      const byte = this.byte();
      if (index < 5) value |= (byte & 0x7f) << (7 * index);
      if (byte < 0x80) return value >>> 0;
    }
    throw new ProtobufError(`varint of more than 10 bytes at byte ${this.position}`);
  }

  /** An int64 varint (two's complement, not zig-zag). */
  int64(): bigint {
    let low = 0;
    let value = 0n;
    for (let index = 0; index < 10; index++) {
      const byte = this.byte();
      // Numbers hold 49 bits of payload exactly; only longer varints pay for bigint arithmetic.
      if (index < 7) low += (byte & 0x7f) * 2 ** (7 * index);
      else value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return index < 7 ? BigInt(low) : BigInt.asIntN(64, value | BigInt(low));
    }
    throw new ProtobufError(`varint of more than 10 bytes at byte ${this.position}`);
  }

  fixed32(): number {
    return this.buffer.readUInt32LE(this.take(4));
  }

  fixed64(): bigint {
    return this.buffer.readBigUInt64LE(this.take(8));
  }

  double(): number {
    return this.buffer.readDoubleLE(this.take(8));
  }

  /** A string; bytes that are not UTF-8 come out as U+FFFD. */
  string(): string {
    const start = this.field();
    return start === this.position ? '' : this.buffer.toString('utf8', start, this.position);
  }

  /** A bytes field as lower-case hex. */
  hex(): string {
    const start = this.field();
    return this.buffer.toString('hex', start, this.position);
  }

  /** A bytes field as a view into the message, not a copy. */
  bytes(): Uint8Array {
    const start = this.field();
    return this.buffer.subarray(start, this.position);
  }

  /** Goes into a nested message; returns the outer end, to be given to `leave`. */
  enter(): number {
    const outer = this.end;
    const length = this.length();
    this.end = this.position + length;
    return outer;
  }

  leave(outer: number): void {
    this.position = this.end;
    this.end = outer;
  }

  /** Passes over a field of any number, by its wire type; `depth` counts nested groups. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case wireType.varint:
        this.uint32();
        return;
      case wireType.fixed64:
        this.take(8);
        return;
      case wireType.bytes:
        this.field();
        return;
      case wireType.fixed32:
        this.take(4);
        return;
      case wireType.startGroup:
        this.skipGroup(tag >>> 3, depth + 1);
        return;
      default:
        throw new ProtobufError(`a group ends at byte ${this.position} that did not begin`);
    }
  }

  private skipGroup(field: number, depth: number): void {
    if (depth > maxNesting) throw new ProtobufError(`more than ${maxNesting} levels of nesting`);
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) !== wireType.endGroup) this.skip(tag, depth);
      else if (tag >>> 3 === field) return;
      else throw new ProtobufError(`group ${field} is closed as ${tag >>> 3} at byte ${this.position}`);
    }
  }

  private length(): number {
    const length = this.uint32Strict('length');
    if (length > this.end - this.position) {
      throw new ProtobufError(`a field of ${length} bytes overruns its message at byte ${this.position}`);
    }
    return length;
  }

  /** Passes a length-delimited field; returns where its content starts. */
  private field(): number {
    const length = this.length();
    const start = this.position;
    this.position = start + length;
    return start;
  }

  private take(count: number): number {
    const start = this.position;
    if (count > this.end - start) throw new ProtobufError(`the message ends within a field at byte ${start}`);
    this.position = start + count;
    return start;
  }

  private byte(): number {
    if (this.position >= this.end) throw new ProtobufError(`the message ends within a varint at byte ${this.position}`);
    return this.buffer[this.position++]!;
  }

  /** Tags and lengths are 32 bits wide: at most 5 bytes, padding included. */
  private uint32Strict(what: string): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let index = 1; index < 5; index++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80 && value <= 0xffffffff) return value;
      if (byte < 0x80) break;
    }
    throw new ProtobufError(`a ${what} of more than 32 bits at byte ${this.position}`);
  }
}
