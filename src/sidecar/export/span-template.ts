// The part of a span that the requests of a connection share, encoded once and copied into each span.
import type { Direction } from '../config.ts';
import type { Exchange } from '../exchange.ts';

/** What is the same for all spans of one connection. */
export interface ConnectionFacts {
  readonly direction: Direction;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly upstreamAddress: string;
  readonly upstreamPort: number;
  /** As Istio names clusters: `inbound|8080||` or `outbound|8080||payments`. */
  readonly upstreamCluster: string;
}

/**
 * Holds the encoded span fields of the last request on a connection that did not come from the request line or the
 * response. A client sends the same method, authority and user agent again and again on a connection; as long as it
 * does, they cost one copy.
 */
export class SpanTemplate {
  readonly facts: ConnectionFacts;
  bytes = new Uint8Array(0);
  #method = '';
  #authority = '';
  #userAgent = '';
  #downstreamCluster = '';
  #minorVersion = -1;

  constructor(facts: ConnectionFacts) {
    this.facts = facts;
  }

  /** Whether `bytes` are those of this request. */
  matches(exchange: Exchange, authority: string): boolean {
    return (
      this.#method === exchange.method &&
      this.#authority === authority &&
      this.#userAgent === exchange.userAgent &&
      this.#minorVersion === exchange.minorVersion &&
      this.#downstreamCluster === exchange.downstreamCluster
    );
  }

  /** Keeps `bytes` for the requests that follow. */
  keep(exchange: Exchange, authority: string, bytes: Uint8Array): void {
    this.bytes = Uint8Array.from(bytes);
    // Copies: the exchange's strings are slices that would keep the whole head alive.
    this.#method = copy(exchange.method);
    this.#authority = copy(authority);
    this.#userAgent = copy(exchange.userAgent);
    this.#downstreamCluster = copy(exchange.downstreamCluster);
    this.#minorVersion = exchange.minorVersion;
  }
}

function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
