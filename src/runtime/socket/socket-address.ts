// Socket addresses as the kernel lays them out in memory (Linux: struct sockaddr_in and sockaddr_in6).
import { SocketAddress } from 'node:net';
import { endianness } from 'node:os';

/** Linux's numbers. */
export const familyV4 = 2;
export const familyV6 = 10;
export const bytesV4 = 16;
export const bytesV6 = 28;

/** What a buffer of `bytesV6` holds. */
export interface DecodedAddress {
  /** IPv4 in dots, also when it came in IPv6's form. */
  readonly host: string;
  readonly port: number;
  /** The number of the interface of a link-local IPv6 address, otherwise 0. */
  readonly scope: number;
}

const hostIsLittle = endianness() === 'LE';
const portAt = 2;
const v4At = 4;
const v6At = 8;
const scopeAt = 24;
/** ::ffff:0:0/96, IPv4 in IPv6's form (RFC 4291, section 2.5.5.2). */
const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex');

/** Whether the address is an IPv6 one that is no IPv4 in disguise. */
export function isV6(bytes: Buffer, little = hostIsLittle): boolean {
  return familyOf(bytes, little) === familyV6 && !isMapped(bytes);
}

/**
 * Reads an address.
 * @param little the byte order of this machine; ports and addresses are in network order on any
 * @throws RangeError for a family that is neither
 */
export function decodeAddress(bytes: Buffer, little = hostIsLittle): DecodedAddress {
  const family = familyOf(bytes, little);
  const port = bytes.readUInt16BE(portAt);
  if (family === familyV4) return { host: dotted(bytes, v4At), port, scope: 0 };
  if (family !== familyV6) throw new RangeError(`address family ${family} is not known`);
  if (isMapped(bytes)) return { host: dotted(bytes, v6At + mappedPrefix.length), port, scope: 0 };
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(v6At + 2 * i).toString(16));
  const { address } = new SocketAddress({ address: groups.join(':'), family: 'ipv6' });
  return { host: address, port, scope: little ? bytes.readUInt32LE(scopeAt) : bytes.readUInt32BE(scopeAt) };
}

/** Address, port and scope as a string to look up by: cheaper to make than text, and the same for the same address. */
export function addressKey(bytes: Buffer, little = hostIsLittle): string {
  if (familyOf(bytes, little) === familyV4) return bytes.latin1Slice(portAt, v4At + 4);
  // Not the flow label between port and address.
  return bytes.latin1Slice(portAt, portAt + 2) + bytes.latin1Slice(v6At, bytesV6);
}

/** An address of IPv4 (4 bytes) or IPv6 (16 bytes) with a port, as `bind` takes it. */
export function encodeAddress(address: Uint8Array, port: number, little = hostIsLittle): Buffer {
  const isV4 = address.length === 4;
  const bytes = Buffer.alloc(isV4 ? bytesV4 : bytesV6);
  const family = isV4 ? familyV4 : familyV6;
  if (little) bytes.writeUInt16LE(family);
  else bytes.writeUInt16BE(family);
  setPort(bytes, port);
  bytes.set(address, isV4 ? v4At : v6At);
  return bytes;
}

/** Puts an IPv4 address in dots, also in IPv6's form, into `bytes`, without a port; false when `text` is none. */
export function putV4(bytes: Buffer, text: string, little = hostIsLittle): boolean {
  let at = v4At;
  let value = 0;
  for (let i = text.startsWith('::ffff:') ? 7 : 0; i <= text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit >= 0 && digit <= 9) value = value * 10 + digit;
    else if (i === text.length || text[i] === '.') {
      bytes[at++] = value;
      value = 0;
    } else return false;
  }
  if (little) bytes.writeUInt16LE(familyV4);
  else bytes.writeUInt16BE(familyV4);
  return at === v4At + 4;
}

export function setPort(bytes: Buffer, port: number): void {
  bytes.writeUInt16BE(port, portAt);
}

/** Turns IPv4 in IPv6's form into plain IPv4, in place. */
export function unmap(bytes: Buffer, little = hostIsLittle): void {
  if (familyOf(bytes, little) !== familyV6 || !isMapped(bytes)) return;
  bytes.copyWithin(v4At, v6At + mappedPrefix.length, v6At + 16);
  bytes.fill(0, v4At + 4);
  if (little) bytes.writeUInt16LE(familyV4);
  else bytes.writeUInt16BE(familyV4);
}

function familyOf(bytes: Buffer, little: boolean): number {
  return little ? bytes.readUInt16LE() : bytes.readUInt16BE();
}

function isMapped(bytes: Buffer): boolean {
  return mappedPrefix.compare(bytes, v6At, v6At + mappedPrefix.length) === 0;
}

function dotted(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}
