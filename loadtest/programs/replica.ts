// A well-behaved application: `replica PORT`. On SIGTERM it asks for its connections back, goes on for a moment, then stops.
import { createServer } from 'node:http';
import { Server } from 'node:net';

/** As long as it takes for those who route to learn that it is going. */
const lameDuckMs = 2000;
let stopping = false;

const server = createServer((_request, response) => {
  if (stopping) response.setHeader('connection', 'close');
  response.end('x'.repeat(100));
});
server.keepAliveTimeout = 0;
server.listen(Number(process.argv[2]), '127.0.0.1', () =>
  process.stdout.write(`${JSON.stringify(server.address())}\n`),
);

process.once('SIGTERM', () => {
  stopping = true;
  // Only the listening socket: http's own close also ends idle connections, on which a request may be under way already.
  setTimeout(() => Server.prototype.close.call(server, () => process.exit(0)), lameDuckMs);
});
