// Finds the end of an HTTP/1 message head and the known fields in it, one pass over the bytes, resumable at any byte.
import { hexValue, isTargetByte, isTokenByte, isValueByte } from './characters.ts';
import type { FieldNames } from './field-names.ts';

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const COLON = 0x3a;

/** Why a head is in doubt (R6): the reasons a connection turns opaque for. */
export type HeadDoubt =
  | 'not_http'
  | 'bad_request_line'
  | 'bad_status_line'
  | 'bare_lf'
  | 'bare_cr'
  | 'bad_field_name'
  | 'bad_field_value'
  | 'obs_fold'
  | 'head_too_large'
  | 'too_many_fields';

const State = {
  leading: 0,
  leadingLf: 1,
  method: 2,
  target: 3,
  version: 4,
  lineCr: 5,
  lineLf: 6,
  statusCode: 7,
  reason: 8,
  lineStart: 9,
  name: 10,
  value: 11,
  valueLf: 12,
  endLf: 13,
} as const;

const version1 = Uint8Array.from('HTTP/1.', (char) => char.charCodeAt(0));
/** Longer than any registered method; what is longer is not HTTP, and must not be held back. */
const maxMethodBytes = 32;
/** Unless the scanner is given another. */
export const defaultMaxHeadBytes = 64 << 10;
const maxFields = 512;

/** Numbers kept for each field that `FieldNames` knows: name start, value start, value end, line end. */
const perField = 5;

/**
 * Scans a request head (RFC 9112 section 3) or a response head (section 4), strictly: what two parsers could read
 * differently is a doubt, not a message. Offsets are relative to the head's first byte.
 */
export class HeadScanner {
  /** Set when `scan` returns -1. */
  doubt: HeadDoubt = 'not_http';
  methodStart = 0;
  methodEnd = 0;
  targetEnd = 0;
  /** The minor version: 0 or 1. */
  minorVersion = 1;
  statusCode = 0;
  /** Whether any byte of the head is above 0x7F. */
  nonAscii = false;
  /** How many known fields were found; `fields` holds them in order. */
  knownCount = 0;
  /** Known fields: id, line start, value start, value end, line end (after CRLF). */
  fields = new Int32Array(perField * 32);

  readonly #names: FieldNames;
  readonly #request: boolean;
  readonly #maxHeadBytes: number;
  #state: number = State.leading;
  #offset = 0;
  #mark = 0;
  #lineStart = 0;
  #fieldCount = 0;
  #fieldId = -1;
  #valueStart = 0;

  constructor(kind: 'request' | 'response', names: FieldNames, maxHeadBytes = defaultMaxHeadBytes) {
    this.#names = names;
    this.#maxHeadBytes = maxHeadBytes;
    this.#request = kind === 'request';
    this.reset();
  }

  /** How many fields the head has had so far, known or not. */
  get fieldCount(): number {
    return this.#fieldCount;
  }

  /** Makes ready for the next head. */
  reset(): void {
    this.#state = this.#request ? State.leading : State.version;
    this.#offset = 0;
    this.#mark = 0;
    this.#fieldCount = 0;
    this.knownCount = 0;
    this.methodStart = 0;
    this.nonAscii = false;
    this.statusCode = 0;
  }

  /** Whether the start line has been read and found good: from then on this is HTTP/1. */
  get pastStartLine(): boolean {
    return this.#state >= State.lineStart;
  }

  /**
   * Reads on. `bytes[base..to)` is the head from its first byte on, as far as it has come.
   * @returns the index after the head's blank line, 0 when more is needed, -1 when in doubt (see `doubt`)
   */
  scan(bytes: Uint8Array, base: number, to: number): number {
    let p = base + this.#offset;
    while (p < to) {
      switch (this.#state) {
        case State.value: {
          p = this.#scanValue(bytes, p, to);
          if (p < to) {
            const byte = bytes[p]!;
            if (byte !== CR) return this.#fail(byte === LF ? 'bare_lf' : 'bad_field_value');
            this.#endValue(bytes, base, p);
            this.#state = State.valueLf;
            p++;
          }
          break;
        }
        case State.name: {
          while (p < to && isTokenByte[bytes[p]!] === 1) p++;
          if (p < to) {
            if (bytes[p] !== COLON || p - base === this.#lineStart) return this.#fail('bad_field_name');
            this.#fieldId = this.#names.find(bytes, base + this.#lineStart, p);
            this.#valueStart = p + 1 - base;
            this.#state = State.value;
            p++;
          }
          break;
        }
        case State.valueLf:
          if (bytes[p] !== LF) return this.#fail('bare_cr');
          p++;
          this.#keepField(p - base);
          if (++this.#fieldCount > maxFields) return this.#fail('too_many_fields');
          this.#state = State.lineStart;
          break;
        case State.lineStart: {
          const byte = bytes[p]!;
          if (byte === CR) {
            this.#state = State.endLf;
            p++;
          } else if (byte === SP || byte === 0x09) return this.#fail('obs_fold');
          else if (byte === LF) return this.#fail('bare_lf');
          else {
            this.#lineStart = p - base;
            this.#state = State.name;
          }
          break;
        }
        case State.endLf:
          if (bytes[p] !== LF) return this.#fail('bare_cr');
          this.#offset = p + 1 - base;
          return p + 1;
        default:
          p = this.#request ? this.#scanRequestLine(bytes, base, p, to) : this.#scanStatusLine(bytes, p, to);
          if (p < 0) return -1;
      }
      if (p - base > this.#maxHeadBytes) return this.#fail('head_too_large');
    }
    this.#offset = p - base;
    return 0;
  }

  #scanValue(bytes: Uint8Array, from: number, to: number): number {
    let p = from;
    let high = 0;
    // This loop sees most bytes of most heads: four at a time while all are printable ASCII, told by the sign of one sum.
    for (const last = to - 3; p < last; p += 4) {
      const a = bytes[p]!;
      const b = bytes[p + 1]!;
      const c = bytes[p + 2]!;
      const d = bytes[p + 3]!;
      if (((a - 0x20) | (0x7e - a) | (b - 0x20) | (0x7e - b) | (c - 0x20) | (0x7e - c) | (d - 0x20) | (0x7e - d)) < 0)
        break;
    }
    while (p < to) {
      const byte = bytes[p]!;
      if (byte < 0x20 ? byte !== 0x09 : byte === 0x7f) break;
      high |= byte;
      p++;
    }
    if (high > 0x7f) this.nonAscii = true;
    return p;
  }

  /** Trims optional white space (RFC 9110 section 5.5) around the value that ends at `p`. */
  #endValue(bytes: Uint8Array, base: number, p: number): void {
    if (this.#fieldId < 0) return;
    let start = base + this.#valueStart;
    let end = p;
    while (start < end && (bytes[start] === SP || bytes[start] === 0x09)) start++;
    while (end > start && (bytes[end - 1] === SP || bytes[end - 1] === 0x09)) end--;
    this.#valueStart = start - base;
    this.#mark = end - base;
  }

  #keepField(lineEnd: number): void {
    if (this.#fieldId < 0) return;
    const at = this.knownCount * perField;
    if (at + perField > this.fields.length) {
      const grown = new Int32Array(this.fields.length * 2);
      grown.set(this.fields);
      this.fields = grown;
    }
    this.fields[at] = this.#fieldId;
    this.fields[at + 1] = this.#lineStart;
    this.fields[at + 2] = this.#valueStart;
    this.fields[at + 3] = this.#mark;
    this.fields[at + 4] = lineEnd;
    this.knownCount++;
  }

  /** One step of `CRLF* method SP target SP HTTP/1.x CRLF`; -1 on a doubt. */
  #scanRequestLine(bytes: Uint8Array, base: number, from: number, to: number): number {
    let p = from;
    const byte = bytes[p]!;
    switch (this.#state) {
      case State.leading:
        if (byte === CR) this.#state = State.leadingLf;
        else {
          this.methodStart = p - base;
          this.#state = State.method;
          return p;
        }
        return p + 1;
      case State.leadingLf:
        if (byte !== LF) return this.#fail('not_http');
        this.#state = State.leading;
        return p + 1;
      case State.method:
        if (isTokenByte[byte] === 1) {
          return p - base - this.methodStart < maxMethodBytes ? p + 1 : this.#fail('not_http');
        }
        if (byte !== SP || p - base === this.methodStart) return this.#fail('not_http');
        this.methodEnd = p - base;
        this.#state = State.target;
        return p + 1;
      case State.target: {
        const start = p;
        let high = 0;
        while (p < to && isTargetByte[bytes[p]!] === 1) high |= bytes[p++]!;
        if (high > 0x7f) this.nonAscii = true;
        if (p > start) return p;
        if (byte !== SP || p - base === this.methodEnd + 1) return this.#fail('bad_request_line');
        this.targetEnd = p - base;
        this.#mark = 0;
        this.#state = State.version;
        return p + 1;
      }
      case State.version:
        if (this.#mark === 0 && isVersionLine(bytes, p, to)) {
          this.minorVersion = 1;
          this.#state = State.lineStart;
          return p + versionLine.length;
        }
        return this.#scanVersion(byte, p, 'bad_request_line', State.lineCr);
      default:
        return this.#scanLineEnd(byte, p, 'bad_request_line');
    }
  }

  /** One step of `HTTP/1.x SP 3DIGIT [SP reason] CRLF`; -1 on a doubt. */
  #scanStatusLine(bytes: Uint8Array, from: number, to: number): number {
    const byte = bytes[from]!;
    switch (this.#state) {
      case State.version: {
        const status = this.#mark === 0 ? readUsualStatus(bytes, from, to) : 0;
        if (status === 0) return this.#scanVersion(byte, from, 'bad_status_line', State.statusCode);
        this.minorVersion = 1;
        this.statusCode = status;
        this.#state = State.reason;
        return from + usualStatusBytes;
      }
      case State.statusCode: {
        // #mark is 8 here: the space, then three digits.
        const at = this.#mark++;
        if (at === 8) return byte === SP ? from + 1 : this.#fail('bad_status_line');
        if (at < 12) {
          const digit = hexValue[byte]!;
          if (digit > 9 || (at === 9 && digit === 0)) return this.#fail('bad_status_line');
          this.statusCode = this.statusCode * 10 + digit;
          return from + 1;
        }
        if (byte === SP) this.#state = State.reason;
        else if (byte === CR) this.#state = State.lineLf;
        else return this.#fail('bad_status_line');
        return from + 1;
      }
      case State.reason: {
        let p = from;
        while (p < to && isValueByte[bytes[p]!] === 1) p++;
        if (p > from) return p;
        return this.#scanLineEnd(byte, from, 'bad_status_line', true);
      }
      default:
        return this.#scanLineEnd(byte, from, 'bad_status_line');
    }
  }

  #scanVersion(byte: number, p: number, doubt: HeadDoubt, next: number): number {
    const at = this.#mark++;
    if (at < 7) {
      if (byte !== version1[at]) return this.#fail(doubt);
    } else {
      if (byte !== 0x30 && byte !== 0x31) return this.#fail(doubt);
      this.minorVersion = byte - 0x30;
      this.#state = next;
    }
    return p + 1;
  }

  #scanLineEnd(byte: number, p: number, doubt: HeadDoubt, inReason = false): number {
    if (this.#state === State.lineCr || inReason) {
      if (byte !== CR) return this.#fail(byte === LF ? 'bare_lf' : doubt);
      this.#state = State.lineLf;
    } else {
      if (byte !== LF) return this.#fail('bare_cr');
      this.#state = State.lineStart;
    }
    return p + 1;
  }

  #fail(doubt: HeadDoubt): -1 {
    this.doubt = doubt;
    return -1;
  }
}

const versionLine = Uint8Array.from('HTTP/1.1\r\n', (char) => char.charCodeAt(0));
/** `HTTP/1.1 200 ` */
const usualStatusBytes = 13;

/** The usual end of a request line, in one piece: the states above read it a byte at a time. */
function isVersionLine(bytes: Uint8Array, from: number, to: number): boolean {
  if (to - from < versionLine.length) return false;
  for (let i = 0; i < versionLine.length; i++) if (bytes[from + i] !== versionLine[i]) return false;
  return true;
}

/** The status of `HTTP/1.1 ddd ` when it stands there in one piece, else 0. */
function readUsualStatus(bytes: Uint8Array, from: number, to: number): number {
  if (to - from < usualStatusBytes) return 0;
  for (let i = 0; i < 8; i++) if (bytes[from + i] !== versionLine[i]) return 0;
  if (bytes[from + 8] !== SP || bytes[from + 12] !== SP) return 0;
  const hundreds = bytes[from + 9]! - 0x30;
  const tens = bytes[from + 10]! - 0x30;
  const ones = bytes[from + 11]! - 0x30;
  if (hundreds < 1 || hundreds > 9 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return 0;
  return hundreds * 100 + tens * 10 + ones;
}
