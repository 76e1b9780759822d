// Accepts the clients of the forward proxy.
import { createServer, type Server } from 'node:net';
import { type Address, formatAddress } from '../../runtime/address.ts';
import { close, listen } from '../../runtime/listen.ts';
import type { SidecarConfig } from '../config.ts';
import type { Connections } from '../open-connection.ts';
import type { Tracer } from '../tracer.ts';
import { ProxyConnection, type ProxyConnectionEvents } from './proxy-connection.ts';

const keepAliveDelayMs = 30_000;

export class ProxyListener {
  readonly bound: Address;
  readonly #server: Server;

  private constructor(bound: Address, server: Server) {
    this.bound = bound;
    this.#server = server;
  }

  /**
   * Binds `address` and starts to accept.
   * @throws UsageError when the address cannot be bound
   */
  static async open(
    address: Address,
    config: Pick<SidecarConfig, 'connectTimeoutMs' | 'maxConnections' | 'maxHeadBytes'>,
    tracer: Tracer,
    connections: Connections,
    onFault: (error: unknown) => void,
  ): Promise<ProxyListener> {
    const { connectTimeoutMs, maxConnections, maxHeadBytes } = config;
    const stats = tracer.stats.outbound;
    const events: ProxyConnectionEvents = {
      closed(connection) {
        connections.delete(connection);
        stats.bytesReceived += connection.bytesFromClient;
        stats.bytesSent += connection.bytesFromServer;
        if (connection.bytesFromClient === 0) stats.silentConnections++;
      },
      faulted: onFault,
    };
    const options = { bound: address, connectTimeoutMs, maxHeadBytes };
    const server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveDelayMs },
      (client) => {
        stats.connectionsTotal++;
        if (maxConnections > 0 && connections.size >= maxConnections) {
          stats.refusedConnections++;
          client.resetAndDestroy();
        } else connections.add(new ProxyConnection(client, options, tracer, events));
      },
    );
    options.bound = await listen(server, address, `--outbound-proxy ${formatAddress(address)}`);
    return new ProxyListener(options.bound, server);
  }

  /** The address really bound. */
  toString(): string {
    return formatAddress(this.bound);
  }

  /** Stops accepting; resolves when the last connection accepted here is gone. */
  close(): Promise<void> {
    return close(this.#server, 0x7fffffff);
  }
}
