// One original destination of captured connections, what they have in common, and whether they are our own going round.
import type { Socket } from 'node:net';
import type { Address } from '../../runtime/address.ts';
import type { Direction } from '../config.ts';
import { type ConnectionOptions, plainAddress } from '../connection.ts';
import { reset } from '../reset.ts';
import type { SourceSockets } from './source-sockets.ts';

export interface DestinationFacts {
  readonly direction: Direction;
  readonly target: Address;
  readonly connectTimeoutMs: number;
  /** Makes the sockets to reach it with; undefined: any will do. */
  readonly sources: SourceSockets | undefined;
  /** Counts a connection that would go round. */
  readonly onLoop: () => void;
  /** Told when it was one of our own that had been captured again. */
  readonly onOwn: () => void;
}

/** How long nothing goes to a destination that led back to us twice within that time. */
const pauseMs = 1_000;

/**
 * When the sidecar is not exempt from the rules (another user than they say), what it sends to a destination comes back
 * as a new connection to that very destination, for ever. It shows by the client's address: it is that of one of our own
 * sockets. Such a chain runs ahead of what cuts it, so after a second one the destination is closed for a moment.
 */
export class Destination {
  readonly facts: DestinationFacts;
  readonly upstreamCluster: string;
  /** Addresses of the open connections by their port: the clients', and our own sockets'. */
  readonly clients = new Map<number, string>();
  readonly own = new Map<number, string>();
  #loopedAtMs = Number.NEGATIVE_INFINITY;
  #closedUntilMs = 0;

  constructor(facts: DestinationFacts) {
    this.facts = facts;
    const { direction, target } = facts;
    this.upstreamCluster =
      direction === 'inbound' ? `inbound|${target.port}||` : `outbound|${target.port}||${target.host}`;
  }

  /** The way of a client to this destination; undefined when it is one of our own sockets, or such have come just now. */
  admit(client: Socket): Passage | undefined {
    const port = client.remotePort ?? 0;
    const address = plainAddress(client.remoteAddress ?? '');
    if (this.own.get(port) === address) this.looped();
    else if (this.#closedUntilMs === 0 || performance.now() >= this.#closedUntilMs) {
      return new Passage(this, client, address, port);
    } else this.facts.onLoop();
    return undefined;
  }

  looped(): void {
    this.facts.onLoop();
    this.facts.onOwn();
    const now = performance.now();
    if (now - this.#loopedAtMs < pauseMs) this.#closedUntilMs = now + pauseMs;
    this.#loopedAtMs = now;
  }
}

/** One captured connection on its way to its destination. */
export class Passage implements ConnectionOptions {
  readonly direction: Direction;
  readonly target: Address;
  readonly upstreamCluster: string;
  readonly connectTimeoutMs: number;
  readonly #destination: Destination;
  readonly #client: Socket;
  readonly #clientAddress: string;
  readonly #clientPort: number;
  #ownPort = 0;

  constructor(destination: Destination, client: Socket, address: string, port: number) {
    const { direction, target, connectTimeoutMs } = destination.facts;
    this.direction = direction;
    this.target = target;
    this.upstreamCluster = destination.upstreamCluster;
    this.connectTimeoutMs = connectTimeoutMs;
    this.#destination = destination;
    this.#client = client;
    this.#clientAddress = address;
    this.#clientPort = port;
    destination.clients.set(port, address);
  }

  openSocket(): number | Error | undefined {
    const { sources, target } = this.#destination.facts;
    return sources?.open(this.#client, target, this.#destination.clients);
  }

  reached(server: Socket): void {
    const { localPort = 0, localAddress = '' } = server;
    const { clients, own } = this.#destination;
    this.#ownPort = localPort;
    own.set(localPort, localAddress);
    // It may have been taken in before we heard that it was made.
    if (clients.get(localPort) !== localAddress) return;
    this.#destination.looped();
    reset(this.#client);
    reset(server);
  }

  /** To be called when the connection is over. */
  closed(): void {
    const { clients, own } = this.#destination;
    if (clients.get(this.#clientPort) === this.#clientAddress) clients.delete(this.#clientPort);
    if (this.#ownPort !== 0) own.delete(this.#ownPort);
  }
}
