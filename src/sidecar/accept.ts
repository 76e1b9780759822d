// Takes in the clients of one listening socket: counted, limited, and one in a turn of the event loop.
import { createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../runtime/address.ts';
import { close, listen } from '../runtime/listen.ts';
import type { Connections, OpenConnection } from './open-connection.ts';
import type { DirectionStats } from './stats.ts';

export const keepAliveDelayMs = 30_000;

export interface Acceptance {
  readonly stats: DirectionStats;
  /** Where the connections are listed; with `maxConnections` of them open, a further client is reset. */
  readonly connections: Connections;
  /** 0: no limit. */
  readonly maxConnections: number;
  /** Makes the connection of a client that nothing has been read of yet; undefined when it was turned away. */
  join(client: Socket): OpenConnection | undefined;
}

export class Acceptor {
  readonly bound: Address;
  readonly #server: Server;
  readonly #turns: Turns | undefined;

  private constructor(bound: Address, server: Server, turns: Turns | undefined) {
    this.bound = bound;
    this.#server = server;
    this.#turns = turns;
  }

  /**
   * Binds `address` and starts to accept.
   * @param what names the flag in the error
   * @throws UsageError when the address cannot be bound
   */
  static async open(address: Address, what: string, acceptance: Acceptance): Promise<Acceptor> {
    const { stats, connections, maxConnections } = acceptance;
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveDelayMs },
      (client) => {
        stats.connectionsTotal++;
        if (maxConnections > 0 && connections.size >= maxConnections) {
          stats.refusedConnections++;
          client.resetAndDestroy();
          return;
        }
        const connection = acceptance.join(client);
        if (connection !== undefined) connections.add(connection);
      },
    );
    const bound = await listen(server, address, what);
    return new Acceptor(bound, server, takeTurns(server));
  }

  /** Stops accepting; resolves when the last connection accepted here is gone. */
  close(): Promise<void> {
    this.#turns?.stop();
    return close(this.#server, 0x7fffffff);
  }
}

/** The C++ side of a socket, as far as it is used here. */
interface Handle {
  close(): void;
}

interface ListeningHandle {
  onconnection(status: number, client: Handle | undefined): void;
}

/**
 * libuv accepts everyone who waits before it looks at anything else, and each new connection costs as much as ten
 * requests: whoever else is served would wait for the whole bunch. Clients are therefore kept as bare handles, and one
 * is unpacked in each turn. On a Node without such handles they come in bunches.
 */
function takeTurns(server: Server): Turns | undefined {
  const handle: unknown = '_handle' in server ? server._handle : undefined;
  if (typeof handle !== 'object' || handle === null || !('onconnection' in handle)) return undefined;
  return typeof handle.onconnection === 'function' ? new Turns(handle as ListeningHandle) : undefined;
}

class Turns {
  readonly #handle: ListeningHandle;
  readonly #unpack: ListeningHandle['onconnection'];
  #waiting: Handle[] = [];
  #first = 0;
  #stopped = false;

  constructor(handle: ListeningHandle) {
    this.#handle = handle;
    this.#unpack = handle.onconnection;
    handle.onconnection = (status, client) => this.#arrived(status, client);
  }

  stop(): void {
    this.#stopped = true;
  }

  #arrived(status: number, client: Handle | undefined): void {
    if (client === undefined) this.#unpack.call(this.#handle, status, client);
    else if (this.#waiting.push(client) === 1) setImmediate(this.#next);
  }

  readonly #next = (): void => {
    const client = this.#waiting[this.#first++]!;
    if (this.#first < this.#waiting.length) setImmediate(this.#next);
    else {
      this.#waiting = [];
      this.#first = 0;
    }
    if (this.#stopped) client.close();
    else this.#unpack.call(this.#handle, 0, client);
  };
}
