// Stands where a cluster has a Service: forwards each of its ports to the pod's.
const net = require('node:net');

const [, address, ...pairs] = process.argv;
for (const pair of pairs) {
  const [port, target] = pair.split('=').map(Number);
  net
    .createServer((client) => {
      const server = net.connect(target, address);
      client.pipe(server).pipe(client);
      for (const socket of [client, server]) socket.on('error', () => [client, server].map((each) => each.destroy()));
    })
    .listen(port, '0.0.0.0');
}
process.on('SIGTERM', () => process.exit(0));
