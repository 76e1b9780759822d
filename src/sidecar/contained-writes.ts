// Keeps a failed write from destroying a socket: that direction ends, the other is read to its end (R4).
import type { Socket } from 'node:net';

type Done = (error?: Error | null) => void;

/**
 * Makes write errors of `socket` end only its writing: `onFailure` is called once, later writes are swallowed, reading
 * goes on. Node itself destroys the socket then, unread data included, and an early answer is lost with it.
 */
export function containWriteErrors(socket: Socket, onFailure: (error: Error) => void): void {
  const write = socket._write;
  const writev = socket._writev;
  let failed = false;
  // The stream has at most one write under way, so its callback needs no closure of its own.
  let done: Done = () => {};
  const contained: Done = (error) => {
    if (error && !failed) {
      failed = true;
      onFailure(error);
    }
    done();
  };
  socket._write = function containedWrite(chunk, encoding, callback) {
    if (failed) {
      callback();
      return;
    }
    done = callback;
    write.call(this, chunk, encoding, contained);
  };
  if (writev === undefined) return;
  socket._writev = function containedWritev(chunks, callback) {
    if (failed) {
      callback();
      return;
    }
    done = callback;
    writev.call(this, chunks, contained);
  };
}
