// Takes in the clients of one listening socket: counted, and limited.
import { createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../runtime/address.ts';
import { close, listen } from '../runtime/listen.ts';
import { descriptorOf } from '../runtime/socket/descriptor.ts';
import type { Connections, OpenConnection } from './open-connection.ts';
import { reset } from './reset.ts';
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

  private constructor(bound: Address, server: Server) {
    this.bound = bound;
    this.#server = server;
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
          reset(client);
          return;
        }
        const connection = acceptance.join(client);
        if (connection !== undefined) connections.add(connection);
      },
    );
    return new Acceptor(await listen(server, address, what), server);
  }

  /** The descriptor of the listening socket. */
  get descriptor(): number | undefined {
    return descriptorOf(this.#server);
  }

  /** Stops accepting; resolves when the last connection accepted here is gone. */
  close(): Promise<void> {
    return close(this.#server, 0x7fffffff);
  }
}

/** To be called when a connection is over: its bytes are its direction's, and it is listed no more. */
export function countClosed(
  connection: OpenConnection & { readonly bytesFromClient: number; readonly bytesFromServer: number },
  { stats, connections }: Pick<Acceptance, 'stats' | 'connections'>,
): void {
  connections.delete(connection);
  stats.bytesReceived += connection.bytesFromClient;
  stats.bytesSent += connection.bytesFromServer;
  if (connection.bytesFromClient === 0) stats.silentConnections++;
}
