// Ends a connection as a refusal ends it: by RST, and nothing before it.
import type { Socket } from 'node:net';

/**
 * Resets a connection that has nothing left to send. Node's own `resetAndDestroy` sends a FIN first, and a busy peer may
 * take that for the end; a peer that is a sidecar, too, would then pass it on as one.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded) {
    // A FIN is under way already; libuv takes no reset before it has gone.
    socket.resetAndDestroy();
    return;
  }
  // What `resetAndDestroy` sets before it ends the socket, and `destroy` looks at.
  Reflect.set(socket, 'resetAndClosing', true);
  socket.destroy();
}
