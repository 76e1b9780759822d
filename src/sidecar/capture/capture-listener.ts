// Accepts the captured connections of one direction on one address, and joins each to its original destination.
import type { Socket } from 'node:net';
import { type Address, formatAddress } from '../../runtime/address.ts';
import { type SocketCalls, socketOptions } from '../../runtime/socket/socket-calls.ts';
import { UsageError } from '../../runtime/usage-error.ts';
import { Acceptor, countClosed } from '../accept.ts';
import type { Direction } from '../config.ts';
import { Connection } from '../connection.ts';
import type { Connections, OpenConnection } from '../open-connection.ts';
import { reset } from '../reset.ts';
import type { Tracer } from '../tracer.ts';
import { Passage } from './destination.ts';
import { Destinations } from './destinations.ts';
import type { LocalAddresses } from './local-addresses.ts';
import { probeAnswer } from './probe-targets.ts';
import type { SourceSockets } from './source-sockets.ts';

export interface CaptureListenerOptions {
  readonly direction: Direction;
  readonly address: Address;
  /** Names the flag in the error of an address that cannot be bound. */
  readonly what: string;
  readonly transparent: boolean;
  readonly sources: SourceSockets | undefined;
  readonly connectTimeoutMs: number;
  readonly maxConnections: number;
  readonly calls: SocketCalls;
  readonly local: LocalAddresses;
  /** Of all listeners of the sidecar; this one's is added. */
  readonly ownPorts: Set<number>;
  /** Told of each of our own connections that was captured again. */
  readonly onOwn: () => void;
}

export class CaptureListener {
  readonly direction: Direction;
  readonly #acceptor: Acceptor;

  private constructor(direction: Direction, acceptor: Acceptor) {
    this.direction = direction;
    this.#acceptor = acceptor;
  }

  /**
   * Binds the address and starts to accept.
   * @throws UsageError when the address cannot be bound, or the right to take foreign addresses is missing
   */
  static async open(
    options: CaptureListenerOptions,
    tracer: Tracer,
    connections: Connections,
    onFault: (error: unknown) => void,
  ): Promise<CaptureListener> {
    const { direction, ownPorts } = options;
    const stats = tracer.stats.of(direction);
    const onLoop = () => stats.loops++;
    const destinations = new Destinations({ ...options, onLoop });
    const onClosed = (connection: Connection) => {
      countClosed(connection, { stats, connections });
      if (connection.options instanceof Passage) connection.options.closed();
    };
    const join = (client: Socket): OpenConnection | undefined => {
      const verdict = destinations.of(client);
      if (verdict === 'probe') {
        // Nobody's traffic.
        stats.connectionsTotal--;
        client.on('error', () => {}).resume();
        client.end(probeAnswer(direction));
        return undefined;
      }
      if (verdict === 'loop') onLoop();
      else if (verdict === 'gone') stats.silentConnections++;
      else {
        const passage = verdict.admit(client);
        if (passage !== undefined) return new Connection(client, passage, tracer, onClosed, onFault);
      }
      reset(client);
      return undefined;
    };
    const { address, what, maxConnections } = options;
    const acceptor = await Acceptor.open(address, what, { stats, connections, maxConnections, join });
    // Set before the first connection is taken in, for that comes by the event loop.
    destinations.capturePort = acceptor.bound.port;
    ownPorts.add(acceptor.bound.port);
    if (options.transparent) makeTransparent(options.calls, acceptor);
    return new CaptureListener(direction, acceptor);
  }

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

/** The kernel leads connections to foreign addresses only to a socket that is marked so. */
function makeTransparent(calls: SocketCalls, acceptor: Acceptor): void {
  const errno = calls.setOption(acceptor.descriptor ?? -1, socketOptions.transparentV4, 1);
  if (errno === 0) return;
  void acceptor.close();
  throw new UsageError(needsNetAdmin);
}

/** Said wherever the kernel says that we may not. */
export const needsNetAdmin =
  "--capture tproxy: needs the capability NET_ADMIN (in a pod: capabilities.add of the sidecar's container, as uid 0 gid 1337); or use --capture redirect, which needs none";
