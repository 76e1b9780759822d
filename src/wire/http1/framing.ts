// Decides how a message's body is framed (RFC 9112 section 6.3), or that it is in doubt (R6, R7).
import { FieldNames } from './field-names.ts';
import type { HeadScanner } from './head-scanner.ts';

/** The fields framing depends on; register them first so that their numbers are these. */
export const framingFields = ['content-length', 'transfer-encoding', 'connection', 'upgrade'] as const;
export const contentLengthId = 0;
export const transferEncodingId = 1;
export const connectionId = 2;
export const upgradeId = 3;

/** The table for response heads: nothing but framing is read there. */
export const responseFieldNames = new FieldNames(framingFields);

export type FramingDoubt =
  | 'content_length_and_chunked'
  | 'repeated_content_length'
  | 'bad_content_length'
  | 'bad_transfer_encoding'
  | 'transfer_encoding_in_http10'
  | 'connect_with_body'
  | 'body_not_allowed';

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

  /** Reads the framing fields of a scanned head (`text` is the head as latin1). */
  readFrom(head: HeadScanner, text: string): void {
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
      if (id > upgradeId) continue;
      this.#readField(id, text.slice(fields[at + 2]!, fields[at + 3]!));
    }
    if (this.chunked) {
      if (this.contentLength >= 0) this.doubt ??= 'content_length_and_chunked';
      if (head.minorVersion === 0) this.doubt ??= 'transfer_encoding_in_http10';
    }
  }

  #readField(id: number, value: string): void {
    if (id === contentLengthId) {
      if (this.contentLength >= 0) this.doubt ??= 'repeated_content_length';
      else if (!/^\d{1,15}$/.test(value)) this.doubt ??= 'bad_content_length';
      else this.contentLength = Number(value);
    } else if (id === transferEncodingId) {
      if (this.chunked || value.toLowerCase() !== 'chunked') this.doubt ??= 'bad_transfer_encoding';
      this.chunked = true;
    } else if (id === upgradeId) this.hasUpgrade = true;
    else this.#readConnection(value.toLowerCase());
  }

  #readConnection(value: string): void {
    if (value === 'keep-alive') {
      this.connectionKeepAlive = true;
      return;
    }
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
