// Passes over the fields of OTLP messages, checking all that a strict decoder would, and keeping nothing.
import { isUtf8 } from 'node:buffer';

/**
 * A cursor whose methods return false (or -1) at the first fault and leave its description in `fault`. It does not
 * throw: a hostile request may hold millions of bad spans. `end` is always the end of the message being read.
 */
export class Walker {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  position = 0;
  fault = '';

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(fault: string): false {
    this.fault = fault;
    return false;
  }

  /** The next tag, or -1. Tags are 32 bits wide, five bytes at most. */
  tag(end: number): number {
    const first = this.bytes[this.position]!;
    let tag = first;
    if (first < 0x80) this.position++;
    else tag = this.uint32(end);
    if (tag >= 8 && (tag & 7) < 6) return tag;
    if (tag >= 0) this.fail((tag & 7) > 5 ? `wire type ${tag & 7}` : 'field number 0');
    return -1;
  }

  /** Reads a length; returns the position behind the field it belongs to, or -1. */
  fieldEnd(end: number): number {
    let length = -1;
    if (this.position < end) {
      const first = this.bytes[this.position]!;
      if (first < 0x80) {
        this.position++;
        length = first;
      } else length = this.uint32(end);
    } else this.fail('cut short');
    if (length < 0) return -1;
    if (length <= end - this.position) return this.position + length;
    this.fail('a length beyond the end of its message');
    return -1;
  }

  varint(end: number): boolean {
    const { bytes } = this;
    let position = this.position;
    for (let count = 1; count <= 10; count++) {
      if (position >= end) return this.fail('cut short');
      const byte = bytes[position++]!;
      if (byte < 0x80) {
        this.position = position;
        // Go's decoder refuses what does not fit in 64 bits; Google's own does not care.
        return count < 10 || byte < 2 || this.fail('a varint of more than 64 bits');
      }
    }
    return this.fail('a varint of more than 10 bytes');
  }

  fixed(size: number, end: number): boolean {
    if (end - this.position < size) return this.fail('cut short');
    this.position += size;
    return true;
  }

  string(end: number): boolean {
    const stop = this.fieldEnd(end);
    if (stop < 0) return false;
    let index = this.position;
    this.position = stop;
    // Nearly every string is ASCII: four bytes at a time, and the real check only where a high bit shows up.
    while (stop - index >= 4 && (this.view.getInt32(index) & 0x80808080) === 0) index += 4;
    while (index < stop && this.bytes[index]! < 0x80) index++;
    return index === stop || isUtf8(this.bytes.subarray(index, stop)) || this.fail('a string that is not UTF-8');
  }

  /** Passes a field nobody here knows. */
  skip(tag: number, end: number): boolean {
    switch (tag & 7) {
      case 0:
        return this.varint(end);
      case 1:
        return this.fixed(8, end);
      case 2: {
        const stop = this.fieldEnd(end);
        if (stop < 0) return false;
        this.position = stop;
        return true;
      }
      case 5:
        return this.fixed(4, end);
      default:
        // Google's decoders would pass over it, the Collector's (and so Jaeger's) refuses the whole request.
        return this.fail(`a group (wire type ${tag & 7})`);
    }
  }

  /** A field whose number is known but whose wire type is not the one of its definition. */
  wrongType(tag: number): false {
    return this.fail(`field ${tag >>> 3} with wire type ${tag & 7}`);
  }

  private uint32(end: number): number {
    const { bytes } = this;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.position >= end) {
        this.fail('cut short');
        return -1;
      }
      const byte = bytes[this.position++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (shift < 28 || byte < 16) return value >>> 0;
        break;
      }
    }
    this.fail('a tag or length of more than 32 bits');
    return -1;
  }
}
