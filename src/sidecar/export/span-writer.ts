// Writes OTLP span fields straight to bytes in one growing buffer: no object per attribute, no second pass.

const initialBytes = 64 << 10;
/** Strings up to here are copied by a loop; above, the call into the runtime is the cheaper one. */
const loopLimit = 40;

/** A buffer that grows, with the few field shapes a span is made of. Call `reserve` before writing. */
export class SpanWriter {
  bytes: Buffer;
  position: number;
  #seconds = -1;
  #secondsLow = 0;
  #secondsHigh = 0;

  /**
   * @param headRoom bytes left free in front, for the headers that are known only when the batch is sealed
   * @param buffer one used before, to write into instead of a new one
   */
  constructor(headRoom: number, capacity = initialBytes, buffer?: Buffer) {
    this.bytes = buffer ?? Buffer.allocUnsafeSlow(Math.max(capacity, headRoom * 2));
    this.position = headRoom;
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    const needed = this.position + size;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.position);
    this.bytes = grown;
  }

  byte(value: number): void {
    this.bytes[this.position++] = value;
  }

  varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.position++] = (rest & 0x7f) | 0x80;
      // Division, not a shift: body sizes pass 2^31.
      rest = rest > 0x7fffffff ? Math.floor(rest / 128) : rest >>> 7;
    }
    this.bytes[this.position++] = rest;
  }

  raw(source: Uint8Array): void {
    this.bytes.set(source, this.position);
    this.position += source.length;
  }

  /** Text of characters below 0x80. */
  ascii(text: string): void {
    const length = text.length;
    if (length > loopLimit) {
      this.bytes.write(text, this.position, length, 'latin1');
      this.position += length;
      return;
    }
    const { bytes } = this;
    let at = this.position;
    for (let i = 0; i < length; i++) bytes[at++] = text.charCodeAt(i);
    this.position = at;
  }

  /** An id of lower-case hex characters, as the bytes it stands for. */
  hex(text: string): void {
    const { bytes } = this;
    let at = this.position;
    for (let i = 0; i < text.length; i += 2) {
      bytes[at++] = (nibble(text.charCodeAt(i)) << 4) | nibble(text.charCodeAt(i + 1));
    }
    this.position = at;
  }

  /** fixed64 nanoseconds from epoch milliseconds with a fraction; exact to what a double keeps (about 0.2 us). */
  timeUnixNano(ms: number): void {
    const seconds = Math.floor(ms / 1000);
    if (seconds !== this.#seconds) this.#setSeconds(seconds);
    const sum = this.#secondsLow + Math.round((ms - seconds * 1000) * 1e6);
    const carry = sum >= 4294967296 ? 1 : 0;
    this.#uint32(sum - carry * 4294967296);
    this.#uint32(this.#secondsHigh + carry);
  }

  /** seconds * 10^9 as two 32-bit halves: most spans of a batch share the second. */
  #setSeconds(seconds: number): void {
    const nanos = BigInt(seconds) * 1_000_000_000n;
    this.#seconds = seconds;
    this.#secondsLow = Number(nanos & 0xffffffffn);
    this.#secondsHigh = Number(nanos >> 32n);
  }

  #uint32(value: number): void {
    const { bytes, position } = this;
    bytes[position] = value;
    bytes[position + 1] = value >>> 8;
    bytes[position + 2] = value >>> 16;
    bytes[position + 3] = value >>> 24;
    this.position += 4;
  }

  /** Span.attributes (field 9): a KeyValue with a string value of characters below 0x80. Nothing without a key. */
  asciiAttribute(key: Uint8Array | undefined, value: string): void {
    if (key === undefined) return;
    this.#stringAttributeHead(key, value.length);
    this.ascii(value);
  }

  /** The same for a value in three pieces: joining them first would copy them twice. */
  asciiAttributeOf3(key: Uint8Array | undefined, first: string, second: string, third: string): void {
    if (key === undefined) return;
    this.#stringAttributeHead(key, first.length + second.length + third.length);
    this.ascii(first);
    this.ascii(second);
    this.ascii(third);
  }

  /** The same for any text, written as UTF-8. */
  textAttribute(key: Uint8Array | undefined, value: string): void {
    if (key === undefined) return;
    const size = Buffer.byteLength(value);
    this.#stringAttributeHead(key, size);
    this.bytes.write(value, this.position, size, 'utf8');
    this.position += size;
  }

  #stringAttributeHead(key: Uint8Array, size: number): void {
    const anyValue = 1 + varintSize(size) + size;
    this.byte(0x4a);
    this.varint(key.length + 1 + varintSize(anyValue) + anyValue);
    this.#key(key);
    this.byte(0x12);
    this.varint(anyValue);
    this.byte(0x0a);
    this.varint(size);
  }

  /** A KeyValue with an int_value (AnyValue field 3); the value is not negative. */
  intAttribute(key: Uint8Array | undefined, value: number): void {
    if (key === undefined) return;
    const anyValue = 1 + varintSize(value);
    this.byte(0x4a);
    this.varint(key.length + 2 + anyValue);
    this.#key(key);
    this.byte(0x12);
    this.byte(anyValue);
    this.byte(0x18);
    this.varint(value);
  }

  #key(key: Uint8Array): void {
    const { bytes } = this;
    let at = this.position;
    for (let i = 0; i < key.length; i++) bytes[at++] = key[i]!;
    this.position = at;
  }
}

function nibble(code: number): number {
  return code > 0x39 ? code - 0x57 : code - 0x30;
}

/** Bytes a varint takes. */
export function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  let size = 4;
  for (let rest = value / 0x10000000; rest >= 1; rest /= 128) size++;
  return size;
}
