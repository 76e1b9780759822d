// Reads what a PostgreSQL client says first (PostgreSQL documentation, "Message Formats"), resumable at any byte.
import { printable } from '../printable.ts';

const headBytes = 8;
/** As PostgreSQL's server does: no start-up packet is longer. */
const maxPacketBytes = 10_000;
const protocolMajor = 3;
const cancelRequestCode = 80877102;
const sslRequestCode = 80877103;
const gssEncRequestCode = 80877104;
/** A cancel key has 4 bytes in protocol 3.0, up to 256 since 3.2, behind four of the process id. */
const maxCancelBytes = 12 + 256;
/** Longer names are cut by the server (NAMEDATALEN), those longer than this by us. */
const maxNameBytes = 255;
const databaseKey = 'database';

export type PostgresOpening = 'ssl_request' | 'gssenc_request' | 'cancel_request' | 'startup_message';

/**
 * Whether `bytes[from..to)` is how a connection of a PostgreSQL client begins, as far as it goes: of fewer than eight
 * bytes true only says that it could be. TLS without an SSLRequest (since PostgreSQL 17) begins as TLS does.
 */
export function startsLikePostgres(bytes: Uint8Array, from: number, to: number): boolean {
  const count = Math.min(to - from, headBytes);
  if (count === headBytes) return openingOf(uint32(bytes, from), uint32(bytes, from + 4)) !== undefined;
  for (let at = 0; at < count; at++) if (!isHeadByte(bytes, from, at)) return false;
  return true;
}

/** Whether the byte at `at` of the head may stand behind those before it. */
function isHeadByte(bytes: Uint8Array, from: number, at: number): boolean {
  const byte = bytes[from + at]!;
  // All codes begin with 04 d2 16, and versions with 00 03.
  const isVersion = bytes[from + 4] === 0;
  switch (at) {
    case 0:
    case 1:
      return byte === 0;
    case 2:
      return byte <= maxPacketBytes >> 8;
    case 4:
      return isVersion || byte === 0x04;
    case 5:
      return byte === (isVersion ? protocolMajor : 0xd2);
    case 6:
      return isVersion || byte === 0x16;
    default:
      return true;
  }
}

function uint32(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + (bytes[at + 1]! << 16) + (bytes[at + 2]! << 8) + bytes[at + 3]!;
}

function openingOf(length: number, code: number): PostgresOpening | undefined {
  switch (code) {
    case sslRequestCode:
      return length === headBytes ? 'ssl_request' : undefined;
    case gssEncRequestCode:
      return length === headBytes ? 'gssenc_request' : undefined;
    case cancelRequestCode:
      return length > 12 && length <= maxCancelBytes ? 'cancel_request' : undefined;
    default:
      // Any minor version: the server negotiates down those it does not know.
      return code >> 16 === protocolMajor && length > headBytes && length <= maxPacketBytes
        ? 'startup_message'
        : undefined;
  }
}

/**
 * Reads one opening message. A client that asked for encryption and was refused sends another: read that by a new
 * reader. At most two names of 255 bytes are stored.
 */
export class PostgresOpeningReader {
  /** `failed` when it is none of the four, or a StartupMessage is not made of names and values. */
  state: 'reading' | 'done' | 'failed' = 'reading';
  /** Known after eight bytes. */
  opening: PostgresOpening | undefined;
  /** What a StartupMessage names, printable, at most 255 characters; '' when it names none: the server takes the user's name. */
  database = '';

  #left = headBytes;
  #length = 0;
  #code = 0;
  #key = '';
  #value = '';
  #isValue = false;
  /** Bytes of the current name or value so far. */
  #textBytes = 0;

  /**
   * Reads `bytes[from..to)`.
   * @returns the index after the message's last byte when it ends here (`done`), else `to`; on `failed` the index of
   *   the offending byte
   */
  read(bytes: Uint8Array, from: number, to: number): number {
    let p = from;
    while (p < to && this.state === 'reading') {
      if (!this.#readByte(bytes[p]!)) {
        this.state = 'failed';
        return p;
      }
      p++;
    }
    return p;
  }

  /** False when the byte does not belong there. */
  #readByte(byte: number): boolean {
    this.#left--;
    const isValid =
      this.opening === undefined
        ? this.#readHead(byte)
        : this.opening !== 'startup_message' || this.#readParameter(byte, this.#left === 0);
    if (this.#left === 0) this.state = 'done';
    return isValid;
  }

  #readHead(byte: number): boolean {
    if (this.#left >= 4) this.#length = this.#length * 256 + byte;
    else this.#code = this.#code * 256 + byte;
    if (this.#left > 0) return true;
    this.opening = openingOf(this.#length, this.#code);
    this.#left = this.#length - headBytes;
    return this.opening !== undefined;
  }

  /** Names and values in turn, each ended by a NUL; an empty name is the message's last byte. */
  #readParameter(byte: number, isLast: boolean): boolean {
    const isEnd = byte === 0 && !this.#isValue && this.#textBytes === 0;
    if (byte !== 0) this.#addToText(byte);
    else if (this.#isValue) this.#endParameter();
    else {
      this.#isValue = true;
      this.#textBytes = 0;
    }
    return isEnd === isLast;
  }

  #endParameter(): void {
    if (this.#key === databaseKey) this.database = printable(this.#value);
    this.#key = '';
    this.#value = '';
    this.#isValue = false;
    this.#textBytes = 0;
  }

  #addToText(byte: number): void {
    this.#textBytes++;
    if (this.#isValue) {
      if (this.#key === databaseKey && this.#textBytes <= maxNameBytes) this.#value += String.fromCharCode(byte);
    } else if (this.#textBytes <= databaseKey.length + 1) this.#key += String.fromCharCode(byte);
  }
}
