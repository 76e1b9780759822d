// Reads what a TLS ClientHello says in the clear (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), resumable at any byte.

import { printable, textOf } from '../printable.ts';
import { HandshakeRecord, isRecordHeaderByte, recordHeaderBytes } from './handshake-record.ts';

const clientHelloType = 1;
const maxHandshakeBytes = 64 << 10;
const randomBytes = 32;
const maxSessionIdBytes = 32;
/** RFC 1035 section 2.3.4. */
const maxHostNameBytes = 255;
const maxProtocols = 16;

const serverNameExtension = 0;
const alpnExtension = 16;
const supportedVersionsExtension = 43;

/** What was asked for last, and is complete when `#step` is called. */
const Step = {
  handshakeHeader: 0,
  legacyVersion: 1,
  sessionIdLength: 2,
  cipherSuitesLength: 3,
  compressionLength: 4,
  compressionEnd: 5,
  extensionsLength: 6,
  extensionHeader: 7,
  extensionEnd: 8,
  serverNamesLength: 9,
  serverNameHeader: 10,
  hostName: 11,
  serverNameEnd: 12,
  protocolsLength: 13,
  protocolLength: 14,
  protocol: 15,
  versionsLength: 16,
  offeredVersion: 17,
} as const;

const noProtocols: readonly string[] = [];

/**
 * Whether `bytes[from..to)` is how a connection that opens with a ClientHello begins, as far as it goes: a handshake
 * record of SSL 3.0 to TLS 1.3 (RFC 8446 section 5.1), and a ClientHello in it.
 */
export function couldBeClientHello(bytes: Uint8Array, from: number, to: number): boolean {
  const count = Math.min(to - from, recordHeaderBytes);
  for (let at = 0; at < count; at++) if (!isRecordHeaderByte(at, bytes[from + at]!)) return false;
  return to - from <= recordHeaderBytes || bytes[from + recordHeaderBytes] === clientHelloType;
}

/**
 * Reads one ClientHello, however it is split over segments and records. Only names are stored: at most
 * seventeen of 255 bytes. With Encrypted Client Hello (RFC 9849) this is the outer one.
 */
export class ClientHelloReader {
  /** `done` at the last byte of the message; `failed` when it is none, is malformed, or passes 64 KiB. */
  state: 'reading' | 'done' | 'failed' = 'reading';
  /** The first host name of the server_name extension (RFC 6066 section 3) in lower case; '' when none is valid. */
  serverName = '';
  /** The first 16 protocols offered (RFC 7301 section 3.1) in the client's order, printable, without GREASE. */
  alpn: readonly string[] = noProtocols;
  /** The highest version offered, as on the wire: 0x0303 is TLS 1.2, 0x0304 TLS 1.3; 0 until it was read. */
  version = 0;

  readonly #record = new HandshakeRecord();
  /** Bytes of the message that nothing was asked of yet. */
  #bodyLeft = 0;
  /** Bytes of the current list that nothing was asked of yet. */
  #listLeft = 0;
  /** What comes next: bytes to skip, then bytes to take, as a number or as text; then `#step` makes sense of them. */
  #skip = 0;
  #want = 4;
  #value = 0;
  #text: string | undefined;
  #step: number = Step.handshakeHeader;
  #hasServerName = false;

  /** Reads `bytes[from..to)`; what comes after the message, and after a failure, is not looked at. */
  read(bytes: Uint8Array, from: number, to: number): void {
    let p = from;
    while (p < to && this.state === 'reading') {
      if (this.#record.isInFragment) {
        const end = this.#record.takeFragment(p, to);
        this.#readMessage(bytes, p, end);
        p = end;
      } else if (!this.#record.readHeader(bytes[p++]!)) this.state = 'failed';
    }
  }

  #readMessage(bytes: Uint8Array, from: number, end: number): void {
    let p = from;
    while (p < end && this.state === 'reading') {
      const take = Math.min(end - p, this.#skip > 0 ? this.#skip : this.#want);
      if (this.#skip > 0) this.#skip -= take;
      else {
        if (this.#text !== undefined) this.#text += textOf(bytes, p, p + take);
        else for (let at = p; at < p + take; at++) this.#value = this.#value * 256 + bytes[at]!;
        this.#want -= take;
      }
      p += take;
      while (this.#skip === 0 && this.#want === 0 && this.state === 'reading') this.#advance(this.#value);
    }
  }

  /** Skips `skip` bytes and takes a number of `want` bytes, which `step` is; fails when the message has not so many. */
  #ask(step: number, skip: number, want: number): void {
    this.#bodyLeft -= skip + want;
    if (this.#bodyLeft < 0) this.state = 'failed';
    this.#step = step;
    this.#skip = skip;
    this.#want = want;
    this.#value = 0;
    this.#text = undefined;
  }

  /** As `#ask`, within the current list. */
  #askInList(step: number, skip: number, want: number): void {
    this.#listLeft -= skip + want;
    if (this.#listLeft < 0) this.state = 'failed';
    this.#ask(step, skip, want);
  }

  #askText(step: number, bytes: number): void {
    this.#askInList(step, 0, bytes);
    this.#text = '';
  }

  /** Takes the next entry of the current list, or goes on behind its extension. */
  #askEntry(step: number, want: number): void {
    if (this.#listLeft > 0) this.#askInList(step, 0, want);
    else if (this.state === 'reading') this.#askExtension();
  }

  #askExtension(): void {
    if (this.#bodyLeft === 0) this.state = 'done';
    else this.#ask(Step.extensionHeader, 0, 4);
  }

  #require(condition: boolean): void {
    if (!condition) this.state = 'failed';
  }

  #advance(value: number): void {
    switch (this.#step) {
      case Step.handshakeHeader:
        this.#require(Math.floor(value / 0x1000000) === clientHelloType && value % 0x1000000 <= maxHandshakeBytes);
        this.#bodyLeft = value % 0x1000000;
        this.#ask(Step.legacyVersion, 0, 2);
        break;
      case Step.legacyVersion:
        this.version = value;
        this.#ask(Step.sessionIdLength, randomBytes, 1);
        this.#require(value >> 8 === 3);
        break;
      case Step.sessionIdLength:
        this.#ask(Step.cipherSuitesLength, value, 2);
        this.#require(value <= maxSessionIdBytes);
        break;
      case Step.cipherSuitesLength:
        this.#ask(Step.compressionLength, value, 1);
        this.#require(value >= 2 && value % 2 === 0);
        break;
      case Step.compressionLength:
        this.#ask(Step.compressionEnd, value, 0);
        this.#require(value >= 1);
        break;
      case Step.compressionEnd:
        // A ClientHello without extensions ends here (RFC 5246 section 7.4.1.2).
        if (this.#bodyLeft === 0) this.state = 'done';
        else this.#ask(Step.extensionsLength, 0, 2);
        break;
      case Step.extensionsLength:
        if (value === this.#bodyLeft) this.#askExtension();
        else this.state = 'failed';
        break;
      case Step.extensionHeader:
        this.#startExtension(Math.floor(value / 0x10000), value % 0x10000);
        break;
      case Step.extensionEnd:
        this.#askExtension();
        break;
      default:
        this.#advanceInList(value);
    }
  }

  #startExtension(type: number, length: number): void {
    this.#listLeft = length;
    if (type === serverNameExtension && !this.#hasServerName) this.#askInList(Step.serverNamesLength, 0, 2);
    else if (type === alpnExtension && this.alpn === noProtocols) this.#askInList(Step.protocolsLength, 0, 2);
    else if (type === supportedVersionsExtension) this.#askInList(Step.versionsLength, 0, 1);
    else this.#ask(Step.extensionEnd, length, 0);
  }

  #advanceInList(value: number): void {
    switch (this.#step) {
      case Step.serverNamesLength:
        this.#require(value > 0 && value === this.#listLeft);
        this.#askEntry(Step.serverNameHeader, 3);
        break;
      case Step.serverNameHeader:
        this.#startServerName(value >> 16, value & 0xffff);
        break;
      case Step.hostName:
        this.serverName = hostName(this.#text ?? '');
        this.#askEntry(Step.serverNameHeader, 3);
        break;
      case Step.serverNameEnd:
        this.#askEntry(Step.serverNameHeader, 3);
        break;
      case Step.protocolsLength:
        this.#require(value > 0 && value === this.#listLeft);
        this.#askEntry(Step.protocolLength, 1);
        break;
      case Step.protocolLength:
        this.#askText(Step.protocol, value);
        this.#require(value > 0);
        break;
      case Step.protocol:
        this.#addProtocol(this.#text ?? '');
        this.#askEntry(Step.protocolLength, 1);
        break;
      case Step.versionsLength:
        this.#require(value > 0 && value === this.#listLeft);
        this.#askEntry(Step.offeredVersion, 2);
        break;
      default:
        // Neither GREASE nor drafts.
        if (value >> 8 === 3) this.version = Math.max(this.version, value);
        this.#askEntry(Step.offeredVersion, 2);
    }
  }

  #startServerName(type: number, length: number): void {
    if (type === 0 && !this.#hasServerName && length <= maxHostNameBytes) {
      this.#hasServerName = true;
      this.#askText(Step.hostName, length);
    } else this.#askInList(Step.serverNameEnd, length, 0);
  }

  #addProtocol(name: string): void {
    if (!isGrease(name) && this.alpn.length < maxProtocols) this.alpn = [...this.alpn, printable(name)];
  }
}

/** RFC 8701: a value that a client sends only to keep servers tolerant of what they do not know. */
function isGrease(protocol: string): boolean {
  return protocol.length === 2 && protocol[0] === protocol[1] && protocol.charCodeAt(0) % 16 === 0x0a;
}

/** The name in lower case, or '' when it has a character that no host name has. */
function hostName(text: string): string {
  return /^[A-Za-z0-9._-]+$/.test(text) ? text.toLowerCase() : '';
}
