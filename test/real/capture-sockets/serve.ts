// Answers each connection on a port, of both families, with the address it comes from, and closes it.
import { createServer } from 'node:net';

const server = createServer((socket) => {
  const body = (socket.remoteAddress ?? '').replace('::ffff:', '');
  socket.on('error', () => {});
  socket.once('data', () => {
    socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
  });
});
server.listen(Number(process.argv[2]), '::', 4096);
