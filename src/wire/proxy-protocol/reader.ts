// Reads a PROXY protocol header, version 1 or 2 (HAProxy, "The PROXY protocol", sections 2.1 and 2.2), resumable at any byte.
import { isIPv4, isIPv6 } from 'node:net';
import { printable, textOf } from '../printable.ts';
import { formatIPv4, formatIPv6 } from './address.ts';

const signatureV1 = Buffer.from('PROXY ');
const signatureV2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

const CR = 0x0d;
const LF = 0x0a;
/** Section 2.1: the longest line there can be, CRLF included. */
const maxLineBytes = 107;
/** Section 2.2: signature, version and command, family and protocol, length. */
const fixedBytes = 16;
const unixPathBytes = 108;
/** Bytes of the address block by address family: unspecified, IPv4, IPv6, UNIX. */
const addressBytes = [0, 12, 36, 2 * unixPathBytes] as const;
const maxStoredBytes = fixedBytes + 2 * unixPathBytes;

const port = /^(?:0|[1-9]\d{0,4})$/;

/** Whether `bytes[from..to)` is how a PROXY header of either version begins, as far as it and the signatures go. */
export function couldBeProxyHeader(bytes: Uint8Array, from: number, to: number): boolean {
  return hasPrefix(bytes, from, to, signatureV1) || hasPrefix(bytes, from, to, signatureV2);
}

function hasPrefix(bytes: Uint8Array, from: number, to: number, signature: Uint8Array): boolean {
  const count = Math.min(to - from, signature.length);
  for (let at = 0; at < count; at++) if (bytes[from + at] !== signature[at]) return false;
  return true;
}

/** Reads one header. At most 232 bytes are stored: type-length-value fields behind the addresses are skipped. */
export class ProxyHeaderReader {
  done = false;
  /**
   * The header says nothing of who is behind the connection, so its own addresses hold: version 1 `UNKNOWN`,
   * version 2 `LOCAL` or an unspecified family or protocol.
   */
  local = false;
  /** As text, IPv6 of version 2 as in RFC 5952; the path of a UNIX socket, '' when it has none; '' when `local`. */
  sourceAddress = '';
  /** 0 when `local`, and for UNIX sockets. */
  sourcePort = 0;
  destinationAddress = '';
  destinationPort = 0;

  readonly #stored = Buffer.allocUnsafe(maxStoredBytes);
  #count = 0;
  #failed = false;
  /** Version 2: bytes to store in all, known better with the fixed part; 0 is version 1. */
  #want = 0;
  #skip = 0;

  /**
   * Reads `bytes[from..to)`.
   * @returns the index after the header's last byte when it ends here (`done`), else `to`; -1 when this is no PROXY
   *   header, from the byte on that shows it
   */
  read(bytes: Uint8Array, from: number, to: number): number {
    let p = from;
    while (p < to && !this.done && !this.#failed) {
      if (this.#count === 0) this.#want = bytes[p] === signatureV2[0] ? fixedBytes : 0;
      if (this.#want === 0) {
        this.#readLine(bytes[p++]!);
      } else if (this.#count < this.#want) {
        this.#readBlock(bytes[p++]!);
      } else {
        const take = Math.min(to - p, this.#skip);
        this.#skip -= take;
        p += take;
        this.done = this.#skip === 0;
      }
    }
    return this.#failed ? -1 : p;
  }

  #readLine(byte: number): void {
    const at = this.#count;
    const isAfterCr = at > 0 && this.#stored[at - 1] === CR;
    const isAllowed = isAfterCr ? byte === LF : byte === CR || (byte >= 0x20 && byte <= 0x7e);
    if (!isAllowed || at === maxLineBytes || (at < signatureV1.length && byte !== signatureV1[at])) {
      this.#failed = true;
      return;
    }
    this.#stored[this.#count++] = byte;
    if (isAfterCr) this.#readFields(textOf(this.#stored, signatureV1.length, at - 1));
  }

  /** The line without its signature and CRLF: family, addresses, ports. */
  #readFields(line: string): void {
    const [family, source = '', destination = '', sourcePort = '', destinationPort = '', ...rest] = line.split(' ');
    if (family === 'UNKNOWN') {
      this.local = true;
      this.done = true;
      return;
    }
    const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : undefined;
    const hasAddresses = isAddress?.(source) === true && isAddress(destination);
    this.#failed = !hasAddresses || !isPort(sourcePort) || !isPort(destinationPort) || rest.length > 0;
    if (this.#failed) return;
    this.#set(source, Number(sourcePort), destination, Number(destinationPort));
    this.done = true;
  }

  #readBlock(byte: number): void {
    const at = this.#count;
    this.#stored[this.#count++] = byte;
    if (at < signatureV2.length) {
      if (byte !== signatureV2[at]) this.#failed = true;
    } else if (at === 12) {
      // Version 2, and the commands LOCAL and PROXY.
      if (byte !== 0x20 && byte !== 0x21) this.#failed = true;
    } else if (at === fixedBytes - 1) this.#readFixed();
    if (this.#count === this.#want && at >= fixedBytes - 1 && !this.#failed) this.#readAddresses();
  }

  #readFixed(): void {
    const length = this.#stored.readUInt16BE(14);
    const family = this.#stored[13]! >> 4;
    const protocol = this.#stored[13]! & 0x0f;
    const isLocal = this.#stored[12] === 0x20;
    // Section 2.2: what LOCAL says of families is discarded, and unspecified addresses are ignored.
    this.local = isLocal || family === 0 || protocol === 0;
    const isKnown = isLocal || (family < addressBytes.length && protocol <= 2);
    const addresses = this.local ? 0 : (addressBytes[family] ?? 0);
    if (!isKnown || length < addresses) {
      this.#failed = true;
      return;
    }
    this.#want = fixedBytes + addresses;
    this.#skip = length - addresses;
  }

  #readAddresses(): void {
    const block = this.#stored.subarray(fixedBytes, this.#want);
    if (block.length === 12) {
      this.#set(formatIPv4(block, 0), block.readUInt16BE(8), formatIPv4(block, 4), block.readUInt16BE(10));
    } else if (block.length === 36) {
      this.#set(formatIPv6(block, 0), block.readUInt16BE(32), formatIPv6(block, 16), block.readUInt16BE(34));
    } else if (block.length > 0) {
      this.#set(pathIn(block, 0), 0, pathIn(block, unixPathBytes), 0);
    }
    this.done = this.#skip === 0;
  }

  #set(source: string, sourcePort: number, destination: string, destinationPort: number): void {
    this.sourceAddress = source;
    this.sourcePort = sourcePort;
    this.destinationAddress = destination;
    this.destinationPort = destinationPort;
  }
}

/** An address without a zone: those mean nothing on another host. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return port.test(text) && Number(text) <= 65535;
}

/** The path that ends at its first NUL; a name of Linux's abstract namespace begins with one and is left out. */
function pathIn(block: Buffer, start: number): string {
  const end = block.indexOf(0, start);
  const limit = start + unixPathBytes;
  return printable(textOf(block, start, end < 0 || end > limit ? limit : end));
}
