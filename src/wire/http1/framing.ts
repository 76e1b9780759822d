// Decides how a message's body is framed (RFC 9112 section 6.3), or that it is in doubt (R6, R7).
import { lowerByte } from './characters.ts';
import { FieldNames } from './field-names.ts';
import type { HeadScanner } from './head-scanner.ts';
import { latin1 } from './latin1.ts';

/** The fields framing depends on; register them first so that their numbers are these. */
export const framingFields = ['content-length', 'transfer-encoding', 'connection', 'upgrade'] as const;
export const contentLengthId = 0;
export const transferEncodingId = 1;
export const upgradeId = 3;

/** The table for response heads: framing, and what the body is. */
export const responseFieldNames = new FieldNames([...framingFields, 'content-type', 'content-encoding']);
export const contentTypeId = framingFields.length;
export const contentEncodingId = contentTypeId + 1;

export type FramingDoubt =
  | 'content_length_and_chunked'
  | 'repeated_content_length'
  | 'bad_content_length'
  | 'bad_transfer_encoding'
  | 'transfer_encoding_in_http10'
  | 'connect_with_body';

/** What the head says about framing and the connection; one object is reused from head to head. */
export class Framing {
  /** -1 when there is no Content-Length. */
  contentLength = -1;
  chunked = false;
  connectionClose = false;
  connectionKeepAlive = false;
  connectionUpgrade = false;
  hasUpgrade = false;
  doubt: FramingDoubt | undefined;

  /** Reads the framing fields of a scanned head whose first byte is `bytes[base]`. */
  readFrom(head: HeadScanner, bytes: Buffer, base: number): void {
    this.contentLength = -1;
    this.chunked = false;
    this.connectionClose = false;
    this.connectionKeepAlive = false;
    this.connectionUpgrade = false;
    this.hasUpgrade = false;
    this.doubt = undefined;
    const fields = head.fields;
    for (let i = 0, at = 0; i < head.knownCount; i++, at += 5) {
      const id = fields[at]!;
      if (id <= upgradeId) this.#readField(id, bytes, base + fields[at + 2]!, base + fields[at + 3]!);
    }
    if (this.chunked) {
      if (this.contentLength >= 0) this.doubt ??= 'content_length_and_chunked';
      if (head.minorVersion === 0) this.doubt ??= 'transfer_encoding_in_http10';
    }
  }

  #readField(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === contentLengthId) {
      const length = readDigits(bytes, start, end);
      if (this.contentLength >= 0) this.doubt ??= 'repeated_content_length';
      else if (length < 0) this.doubt ??= 'bad_content_length';
      else this.contentLength = length;
    } else if (id === transferEncodingId) {
      if (this.chunked || !isFolded(bytes, start, end, chunkedToken)) this.doubt ??= 'bad_transfer_encoding';
      this.chunked = true;
    } else if (id === upgradeId) this.hasUpgrade = true;
    // What is left is Connection.
    else if (isFolded(bytes, start, end, keepAliveToken)) this.connectionKeepAlive = true;
    else this.#readConnection(latin1(bytes, start, end).toLowerCase());
  }

  #readConnection(value: string): void {
    for (const option of value.split(',')) {
      const name = option.trim();
      if (name === 'close') this.connectionClose = true;
      else if (name === 'keep-alive') this.connectionKeepAlive = true;
      else if (name === 'upgrade') this.connectionUpgrade = true;
    }
  }

  /** Whether no further message follows on this connection (RFC 9112 section 9.3). */
  closes(minorVersion: number): boolean {
    return this.connectionClose || (minorVersion === 0 && !this.connectionKeepAlive);
  }
}

const chunkedToken = Buffer.from('chunked');
const keepAliveToken = Buffer.from('keep-alive');
/** 15 digits stay below 2^53. */
const maxDigits = 15;

/** The number that `bytes[start..end)` is in decimal digits; -1 when it is none, or longer than `maxDigits`. */
function readDigits(bytes: Uint8Array, start: number, end: number): number {
  if (start === end || end - start > maxDigits) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Whether `bytes[start..end)` is the token, in any case. */
function isFolded(bytes: Uint8Array, start: number, end: number, token: Uint8Array): boolean {
  if (end - start !== token.length) return false;
  for (let i = 0; i < token.length; i++) if (lowerByte[bytes[start + i]!] !== token[i]) return false;
  return true;
}
