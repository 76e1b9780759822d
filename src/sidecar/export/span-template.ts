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

/** The encoded span fields that requests of the same kind share, and what kind that is. */
export class RequestTemplate {
  readonly bytes: Uint8Array;
  readonly method: string;
  readonly authority: string;
  readonly userAgent: string;
  readonly downstreamCluster: string;
  readonly minorVersion: number;

  constructor(exchange: Exchange, authority: string, bytes: Uint8Array) {
    this.bytes = Uint8Array.from(bytes);
    // Copies: the exchange's strings are slices that would keep the whole head alive.
    this.method = copy(exchange.method);
    this.authority = copy(authority);
    this.userAgent = copy(exchange.userAgent);
    this.downstreamCluster = copy(exchange.downstreamCluster);
    this.minorVersion = exchange.minorVersion;
  }

  /** Whether `bytes` are those of this request. */
  matches(exchange: Exchange, authority: string): boolean {
    return (
      this.method === exchange.method &&
      this.authority === authority &&
      this.userAgent === exchange.userAgent &&
      this.minorVersion === exchange.minorVersion &&
      this.downstreamCluster === exchange.downstreamCluster
    );
  }
}

/**
 * What the spans of one connection begin with: the template of its last request, shared with other connections, and who
 * its peer is. A client sends the same method, authority and user agent again and again; as long as it does, they cost
 * one copy.
 */
export class SpanTemplate {
  readonly facts: ConnectionFacts;
  request: RequestTemplate | undefined;
  /** The encoded attributes that name the peer. */
  peer: Uint8Array | undefined;

  constructor(facts: ConnectionFacts) {
    this.facts = facts;
  }
}

/** Templates by what they depend on; as many as a workload's usual requests need, and no more. */
export class RequestTemplates {
  readonly #templates = new Map<string, RequestTemplate>();

  /** The template of a request, encoded by `encode` when there is none yet. */
  get(facts: ConnectionFacts, exchange: Exchange, authority: string, encode: () => Uint8Array): RequestTemplate {
    const { direction, upstreamCluster, upstreamAddress, upstreamPort } = facts;
    const { method, minorVersion, downstreamCluster, userAgent } = exchange;
    // NUL is in no part: neither heads nor addresses may have it.
    const key = `${direction}\0${upstreamCluster}\0${upstreamAddress}\0${upstreamPort}\0${method}\0${minorVersion}\0${authority}\0${downstreamCluster}\0${userAgent}`;
    const known = this.#templates.get(key);
    if (known !== undefined) return known;
    if (this.#templates.size >= maxTemplates) this.#templates.clear();
    const template = new RequestTemplate(exchange, authority, encode());
    this.#templates.set(key, template);
    return template;
  }
}

const maxTemplates = 256;

function copy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
