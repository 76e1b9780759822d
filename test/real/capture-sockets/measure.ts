// What one look at a connection's original destination costs, and a connection that is made with a socket of our own.
import { once } from 'node:events';
import { connect, createServer, Socket } from 'node:net';
import { connectWith } from '../../../src/runtime/socket/connect-with.ts';
import { loadSocketCalls } from '../../../src/runtime/socket/socket-calls.ts';
import { Destination } from '../../../src/sidecar/capture/destination.ts';
import { Destinations } from '../../../src/sidecar/capture/destinations.ts';
import { LocalAddresses } from '../../../src/sidecar/capture/local-addresses.ts';
import { PassthroughSources } from '../../../src/sidecar/capture/source-sockets.ts';

const connections = 2_000;
const rounds = 7;
const perRound = 500;
const [, , port] = process.argv;
const calls = loadSocketCalls();
const destinations = new Destinations({
  ...{ direction: 'inbound', connectTimeoutMs: 1_000, sources: undefined, onLoop() {}, onOwn() {} },
  ...{ calls, local: new LocalAddresses(), ownPorts: new Set([15006]), transparent: false },
});
const seen = new Set<string>();
const lookUs: number[] = [];
const server = createServer((client) => {
  // Every connection of a sidecar is asked for that, captured or not.
  void client.remoteAddress;
  const before = performance.now();
  const verdict = destinations.of(client);
  const passage = verdict instanceof Destination ? verdict.admit(client) : undefined;
  lookUs.push((performance.now() - before) * 1000);
  seen.add(passage === undefined ? String(verdict) : `${passage.target.host} ${passage.target.port}`);
  passage?.closed();
  client.on('error', () => {}).end();
});
server.listen(15006, '::', 4096);
await once(server, 'listening');

async function closed(socket: Socket): Promise<void> {
  socket.resume();
  await once(socket, 'close');
}

for (let i = 0; i < connections; i++) {
  await closed(connect({ host: i % 2 === 0 ? '127.0.0.1' : '::1', port: Number(port) }));
}
server.close();

// Straight to a server: what making the socket costs more than leaving that to Node.
const target = createServer((socket) => socket.on('error', () => {}).end());
target.listen(0, '127.0.0.1', 4096);
await once(target, 'listening');
const address = target.address();
const targetPort = typeof address === 'object' && address !== null ? address.port : 0;
const sources = new PassthroughSources(calls);
const buffer = Buffer.alloc(65_536);
const options = {
  ...{ host: '127.0.0.1', port: targetPort, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 },
  ...{ allowHalfOpen: false, onread: { buffer, callback: () => true } },
};
// Who the client is matters to the client's own address alone.
const unused = new Socket();
const made = () => connectWith(sources.open(unused, { host: '127.0.0.1', port: targetPort }), options);
const plain = () => connect(options);
const roundsOf = { made: [] as number[], plain: [] as number[] };

/** CPU of a connection from its making to its end, the server's side included. */
async function cpuUs(open: () => Socket): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < perRound; i++) await closed(open());
  const { user, system } = process.cpuUsage(before);
  return (user + system) / perRound;
}

for (let round = 0; round < rounds; round++) {
  roundsOf.plain.push(await cpuUs(plain));
  roundsOf.made.push(await cpuUs(made));
}
target.close();

const sourceUs: number[] = [];
for (let i = 0; i < connections; i++) {
  const before = performance.now();
  const descriptor = sources.open(unused, { host: '127.0.0.1', port: targetPort });
  sourceUs.push((performance.now() - before) * 1000);
  if (typeof descriptor === 'number') calls.close(descriptor);
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const look = { median: median(lookUs), mean: mean(lookUs) };
const source = { median: median(sourceUs), mean: mean(sourceUs) };
const cpu = { made: median(roundsOf.made), plain: median(roundsOf.plain) };
process.stdout.write(`${JSON.stringify({ connections: lookUs.length, seen: [...seen].sort(), look, source, cpu })}\n`);
