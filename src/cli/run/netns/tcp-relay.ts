// Joins each connection to one made elsewhere, byte for byte, each direction ending by itself.
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Address } from '../../../runtime/address.ts';
import { listen } from '../../../runtime/listen.ts';
import { errorCode } from '../../../runtime/usage-error.ts';

const keepAliveDelayMs = 30_000;

/** Makes the connection that goes on. */
export type Connect = (target: Address) => Socket;

const connectHere: Connect = ({ host, port }) => connect({ host, port, allowHalfOpen: true, noDelay: true });

export class TcpRelay {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  bound: Address;

  private constructor(where: Address, target: Address, open: Connect) {
    this.bound = where;
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveDelayMs },
      (client) => this.#join(client, open, target),
    );
  }

  /**
   * Listens, at an address or on a socket that is bound already.
   * @param what names the flag or the use of the port in the error
   * @throws UsageError when it cannot listen
   */
  static async open(where: Address, what: string, target: Address, open: Connect = connectHere): Promise<TcpRelay> {
    const relay = new TcpRelay(where, target, open);
    relay.bound = await listen(relay.#server, where, what);
    return relay;
  }

  /** Stops accepting and cuts what is open. */
  close(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #join(client: Socket, open: Connect, target: Address): void {
    let server: Socket;
    try {
      server = open(target);
    } catch {
      client.resetAndDestroy();
      return;
    }
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#open.add(socket);
      containFailedWrites(socket);
      socket.pipe(other);
      socket.on('error', (error) => {
        // A refusal or a reset is one for the other side, too, once that has all that came before.
        if (errorCode(error) === 'EPIPE' || other.writableLength > 0) other.destroySoon();
        else other.resetAndDestroy();
      });
      socket.on('close', () => {
        this.#open.delete(socket);
        other.destroySoon();
      });
    }
  }
}

/**
 * Keeps Node from destroying a socket that cannot be written any more while there is still something to read from it: an
 * answer that came before its request was over. What would be written then goes nowhere.
 */
function containFailedWrites(socket: Socket): void {
  const { _write: write, _writev: writev } = socket;
  let failed = false;
  const contained = (done: (error?: Error | null) => void) => (error?: Error | null) => {
    if (error) failed = true;
    done();
  };
  socket._write = (chunk, encoding, done) => {
    if (failed) done();
    else write.call(socket, chunk, encoding, contained(done));
  };
  if (writev === undefined) return;
  socket._writev = (chunks, done) => {
    if (failed) done();
    else writev.call(socket, chunks, contained(done));
  };
}
