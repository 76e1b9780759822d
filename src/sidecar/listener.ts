// Accepts connections for one listen/target pair and joins each to its target at once.
import { type Address, formatAddress } from '../runtime/address.ts';
import { Acceptor, countClosed } from './accept.ts';
import type { Direction, ListenTarget, SidecarConfig } from './config.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import type { Connections } from './open-connection.ts';
import type { Tracer } from './tracer.ts';

export class Listener {
  readonly direction: Direction;
  readonly pair: ListenTarget;
  readonly #acceptor: Acceptor;

  private constructor(direction: Direction, pair: ListenTarget, acceptor: Acceptor) {
    this.direction = direction;
    this.pair = pair;
    this.#acceptor = acceptor;
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
      countClosed(connection, { stats, connections });
    };
    const acceptor = await Acceptor.open(pair.listen, `--${direction} ${formatAddress(pair.listen)}`, {
      stats,
      connections,
      maxConnections,
      join: (client) => new Connection(client, options, tracer, onClosed, onFault),
    });
    return new Listener(direction, pair, acceptor);
  }

  get bound(): Address {
    return this.#acceptor.bound;
  }

  /** `LISTEN=TARGET` with the port really bound. */
  toString(): string {
    return `${formatAddress(this.bound)}=${formatAddress(this.pair.target)}`;
  }

  /** Stops accepting; resolves when the last connection accepted here is gone. */
  close(): Promise<void> {
    return this.#acceptor.close();
  }
}
