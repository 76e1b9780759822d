// The one span of a connection that is not read: what is known of it while it lasts.
import type { SamplingReason } from '../trace/sampling.ts';
import { nowMs } from './clock.ts';

export type OpaqueProtocol = 'http2' | 'tls' | 'postgresql' | 'opaque';

export class ConnectionSpan {
  protocol: OpaqueProtocol;
  readonly startMs: number;
  traceId = '';
  spanId = '';
  sampled = false;
  reason: SamplingReason = 'random';
  /** The server's first byte, epoch milliseconds; 0 while it has said nothing. */
  firstServerByteMs = 0;
  /** The client has closed its side: how the server ends is nobody's failure any more. */
  clientEnded = false;
  /** The name a TLS client asked for (SNI), '' without one. */
  serverName = '';
  /** The protocols a TLS client offered (ALPN), in its order. */
  alpn: readonly string[] = [];
  /** PostgreSQL: the database named in a readable StartupMessage. */
  database = '';
  /** A ClientHello was read: what follows is encrypted. */
  encrypted = false;
  /** Parts shown so far, where the last one ended, and the bytes counted by then. */
  parts = 0;
  partEndMs = 0;
  partBytesFromClient = 0;
  partBytesFromServer = 0;

  constructor(protocol: OpaqueProtocol, startMs: number) {
    this.protocol = protocol;
    this.startMs = startMs;
  }

  answered(): void {
    this.firstServerByteMs = nowMs();
  }
}
