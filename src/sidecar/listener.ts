// Accepts connections for one listen/target pair and joins each to its target at once.
import { createServer, type Server } from 'node:net';
import { type Address, formatAddress } from '../runtime/address.ts';
import { close, listen } from '../runtime/listen.ts';
import type { Direction, ListenTarget, SidecarConfig } from './config.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import type { Connections } from './open-connection.ts';
import type { Tracer } from './tracer.ts';
import { keepAliveDelayMs } from './upstream.ts';

export class Listener {
  readonly direction: Direction;
  readonly pair: ListenTarget;
  bound: Address;
  readonly #server: Server;

  private constructor(direction: Direction, pair: ListenTarget, server: Server) {
    this.direction = direction;
    this.pair = pair;
    this.bound = pair.listen;
    this.#server = server;
  }

  /**
   * Binds the pair's listen address and starts to accept.
   * @throws UsageError when the address cannot be bound
   */
  static async open(
    direction: Direction,
    pair: ListenTarget,
    config: Pick<SidecarConfig, 'connectTimeoutMs' | 'maxConnections'>,
    tracer: Tracer,
    connections: Connections,
    onFault: (error: unknown) => void,
  ): Promise<Listener> {
    const { target } = pair;
    const { connectTimeoutMs, maxConnections } = config;
    const options: ConnectionOptions = {
      direction,
      target,
      upstreamCluster: direction === 'inbound' ? `inbound|${target.port}||` : `outbound|${target.port}||${target.host}`,
      connectTimeoutMs,
    };
    const stats = tracer.stats.of(direction);
    const onClosed = (connection: Connection) => {
      connections.delete(connection);
      stats.bytesReceived += connection.bytesFromClient;
      stats.bytesSent += connection.bytesFromServer;
      if (connection.bytesFromClient === 0) stats.silentConnections++;
    };
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveDelayMs },
      (client) => {
        stats.connectionsTotal++;
        if (maxConnections > 0 && connections.size >= maxConnections) {
          stats.refusedConnections++;
          client.resetAndDestroy();
          return;
        }
        connections.add(new Connection(client, options, tracer, onClosed, onFault));
      },
    );
    const listener = new Listener(direction, pair, server);
    listener.bound = await listen(server, pair.listen, `--${direction} ${formatAddress(pair.listen)}`);
    return listener;
  }

  /** `LISTEN=TARGET` with the port really bound. */
  toString(): string {
    return `${formatAddress(this.bound)}=${formatAddress(this.pair.target)}`;
  }

  /** Stops accepting; resolves when the last connection accepted here is gone. */
  close(): Promise<void> {
    return close(this.#server, 0x7fffffff);
  }
}
