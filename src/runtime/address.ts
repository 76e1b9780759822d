// Listen and target addresses as operators write them: PORT, :PORT, HOST:PORT, [V6]:PORT.
import { UsageError } from './usage-error.ts';

export interface Address {
  readonly host: string;
  /** 0 asks for any free port (listen addresses only). */
  readonly port: number;
  /** A socket that listens there already, handed down by a supervisor. */
  readonly descriptor?: number;
}

/**
 * Parses `PORT`, `:PORT`, `HOST:PORT` or `[IPv6]:PORT`.
 * @param what names the flag or key in the error
 * @throws UsageError when the text is none of these, or the port is not 0..65535
 */
export function parseAddress(text: string, what: string, defaultHost = '127.0.0.1'): Address {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]:|([^:[\]/\s]*):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw new UsageError(`${what}: "${text}" is not an address; write PORT, HOST:PORT or [IPv6]:PORT`);
  }
  return { host: match[1] ?? (match[2] || defaultHost), port };
}

/** The address as one writes it: IPv6 hosts in brackets. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
