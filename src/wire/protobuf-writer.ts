// Writes protobuf's binary encoding into one growing buffer.
import { wireType } from './protobuf-reader.ts';

/**
 * Appends fields to a buffer that doubles when full. Nested messages: `begin(field)`, their fields, `finish(mark)`.
 * Values are written even when they are the default: leaving them out is the caller's choice.
 */
export class ProtobufWriter {
  private buffer: Buffer;
  private length = 0;

  constructor(initialBytes = 1024) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** How many bytes are written; also a mark for `truncate`. */
  get size(): number {
    return this.length;
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return Buffer.from(this.buffer.subarray(0, this.length));
  }

  /** Forgets everything behind a mark, for a message that turned out to be bad half-way. */
  truncate(size: number): void {
    this.length = size;
  }

  varint(field: number, value: number): void {
    this.rawVarint(field * 8 + wireType.varint);
    this.rawVarint(value);
  }

  /** int64 and uint64: two's complement, 10 bytes when negative. */
  varint64(field: number, value: bigint): void {
    this.rawVarint(field * 8 + wireType.varint);
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.rawByte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.rawByte(Number(rest));
  }

  fixed32(field: number, value: number): void {
    this.rawVarint(field * 8 + wireType.fixed32);
    this.reserve(4);
    this.length = this.buffer.writeUInt32LE(value, this.length);
  }

  fixed64(field: number, value: bigint): void {
    this.rawVarint(field * 8 + wireType.fixed64);
    this.reserve(8);
    this.length = this.buffer.writeBigUInt64LE(BigInt.asUintN(64, value), this.length);
  }

  double(field: number, value: number): void {
    this.rawVarint(field * 8 + wireType.fixed64);
    this.reserve(8);
    this.length = this.buffer.writeDoubleLE(value, this.length);
  }

  string(field: number, value: string): void {
    const mark = this.begin(field);
    this.reserve(value.length * 3);
    this.length += this.buffer.write(value, this.length, 'utf8');
    this.finish(mark);
  }

  bytes(field: number, value: Uint8Array): void {
    this.rawVarint(field * 8 + wireType.bytes);
    this.rawVarint(value.byteLength);
    this.raw(value);
  }

  /** Bytes as they are: encoded fields made elsewhere. */
  raw(value: Uint8Array): void {
    this.reserve(value.byteLength);
    this.buffer.set(value, this.length);
    this.length += value.byteLength;
  }

  /** Opens a length-delimited field; one byte is kept for its length, and `finish` makes room if that is not enough. */
  begin(field: number): number {
    this.rawVarint(field * 8 + wireType.bytes);
    this.reserve(1);
    return ++this.length;
  }

  finish(mark: number): void {
    const length = this.length - mark;
    const extra = varintSize(length) - 1;
    if (extra > 0) {
      this.reserve(extra);
      this.buffer.copyWithin(mark + extra, mark, this.length);
    }
    // The room is there: growing here would copy only what lies before the length and lose the field behind it.
    this.length = mark - 1;
    this.placeVarint(length);
    this.length += length;
  }

  private rawVarint(value: number): void {
    this.reserve(10);
    this.placeVarint(value);
  }

  private placeVarint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.buffer[this.length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.buffer[this.length++] = rest;
  }

  private rawByte(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  private reserve(count: number): void {
    if (this.length + count <= this.buffer.byteLength) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.byteLength * 2, this.length + count));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}

/** How many bytes a non-negative integer takes as a varint. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
