// The tools of an attack: connections it keeps up, and a pace it does not pass.
import { connect, type Socket } from 'node:net';

export interface Attack {
  readonly name: string;
  /** How much of it there is, for the table. */
  readonly rate: string;
  /** Which server it is aimed at, through the sidecar: the neighbour's, or the one for large bodies and upgrades. */
  readonly target: 'neighbour' | 'bulk';
  run(tools: Tools): void;
}

const tickMs = 2;
/** A connection that was closed is replaced after so long: how fast the other end closes does not set the pace. */
const replaceMs = 500;

export class Tools {
  readonly #port: number;
  connections = 0;
  actions = 0;

  constructor(port: number) {
    this.#port = port;
  }

  /** A new connection; what it receives is read and forgotten. */
  open(): Socket {
    this.connections += 1;
    const localAddress = `127.0.0.${1 + (this.connections % 8)}`;
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, localAddress });
    socket.on('error', () => socket.destroy());
    socket.resume();
    return socket;
  }

  /** A connection for `ms` that sends `bytes`. */
  openFor(ms: number, bytes: string | Buffer = ''): void {
    const socket = this.open();
    if (bytes.length > 0) socket.write(bytes);
    setTimeout(() => socket.resetAndDestroy(), ms);
  }

  /** Keeps `count` connections up, each prepared by `prepare`; returns them as they are now. */
  keep(count: number, prepare: (socket: Socket) => void): readonly Socket[] {
    const sockets: Socket[] = [];
    const fill = (index: number): void => {
      const socket = this.open();
      sockets[index] = socket;
      prepare(socket);
      socket.once('close', () => setTimeout(fill, replaceMs, index));
    };
    for (let index = 0; index < count; index++) setTimeout(fill, index * 2, index);
    return sockets;
  }

  /** Calls `action` `perSecond` times a second, and no more than five ticks' worth of them at once when it is late. */
  pace(perSecond: number, action: (number: number) => void): void {
    let done = 0;
    let lastMs = performance.now();
    let owed = 0;
    setInterval(() => {
      const nowMs = performance.now();
      owed = Math.min(owed + ((nowMs - lastMs) * perSecond) / 1000, (perSecond * 5 * tickMs) / 1000 + 1);
      lastMs = nowMs;
      for (; owed >= 1; owed--) {
        action(done++);
        this.actions += 1;
      }
    }, tickMs);
  }

  /** Writes to each of `sockets` in turn, `perSecond` writes in all; one that does not take more is left out. */
  feed(sockets: readonly Socket[], perSecond: number, bytes: string | Buffer): void {
    this.pace(perSecond, (number) => {
      const socket = sockets[number % Math.max(1, sockets.length)];
      if (socket?.readyState === 'open' && socket.writableLength < 1 << 20) socket.write(bytes);
    });
  }
}
