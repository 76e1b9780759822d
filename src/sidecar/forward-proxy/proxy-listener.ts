// Accepts the clients of the forward proxy.
import { type Address, formatAddress } from '../../runtime/address.ts';
import { Acceptor, countClosed } from '../accept.ts';
import type { SidecarConfig } from '../config.ts';
import type { Connections } from '../open-connection.ts';
import type { Tracer } from '../tracer.ts';
import { ProxyConnection, type ProxyConnectionEvents } from './proxy-connection.ts';

export class ProxyListener {
  readonly #acceptor: Acceptor;

  private constructor(acceptor: Acceptor) {
    this.#acceptor = acceptor;
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
        countClosed(connection, { stats, connections });
      },
      faulted: onFault,
    };
    const options = { bound: address, connectTimeoutMs, maxHeadBytes };
    const acceptor = await Acceptor.open(address, `--outbound-proxy ${formatAddress(address)}`, {
      stats,
      connections,
      maxConnections,
      join: (client) => new ProxyConnection(client, options, tracer, events),
    });
    options.bound = acceptor.bound;
    return new ProxyListener(acceptor);
  }

  /** The address really bound. */
  get bound(): Address {
    return this.#acceptor.bound;
  }

  toString(): string {
    return formatAddress(this.bound);
  }

  /** Stops accepting; resolves when the last connection accepted here is gone. */
  close(): Promise<void> {
    return this.#acceptor.close();
  }
}
