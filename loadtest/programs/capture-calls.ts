// Takes captured connections in the sidecar's place and times what capture asks of the kernel for each of them. Arguments:
// port, number of connections, the built sources' folder. Prints a line when it listens, and one with the times in µs.
import { createServer, type Socket } from 'node:net';
import path from 'node:path';

/** As far as they are used here: the sidecar's own code, as it was built. */
interface Sources {
  open(client: Socket, target: { host: string; port: number }, clients: ReadonlyMap<number, string>): number | Error;
}
interface Calls {
  close(descriptor: number): void;
}
type SourcesClass = new (calls: Calls) => Sources;
type DestinationsClass = new (context: object) => { of(client: Socket): unknown };

const [, , port = '15006', count = '1000', folder = 'dist'] = process.argv;

/** Time by the clock, in which other processes may have had the core, and CPU time, in which they have not. */
class Times {
  readonly #us: number[] = [];
  #cpuUs = 0;

  get cpuMeanUs(): number {
    return this.#cpuUs / this.#us.length;
  }

  /** The first half of the connections is for the compiler. */
  measure<T>(work: () => T): T {
    if (accepted <= Number(count) / 2) return work();
    const before = process.cpuUsage();
    const startMs = performance.now();
    const result = work();
    this.#us.push((performance.now() - startMs) * 1000);
    const { user, system } = process.cpuUsage(before);
    this.#cpuUs += user + system;
    return result;
  }

  summary() {
    const sorted = this.#us.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(sorted.length * share)];
    return { cpuUs: this.cpuMeanUs - nothing.cpuMeanUs, p50Us: at(0.5), p99Us: at(0.99) };
  }
}

async function load<T>(file: string): Promise<T> {
  return (await import(path.resolve(folder, file))) as T;
}

const { loadSocketCalls } = await load<{ loadSocketCalls: () => Calls }>('runtime/socket/socket-calls.js');
const { LocalAddresses } = await load<{ LocalAddresses: new () => object }>('sidecar/capture/local-addresses.js');
const { Destinations } = await load<{ Destinations: DestinationsClass }>('sidecar/capture/destinations.js');
const { ClientSources, PassthroughSources } = await load<Record<'ClientSources' | 'PassthroughSources', SourcesClass>>(
  'sidecar/capture/source-sockets.js',
);

const calls = loadSocketCalls();
const facts = { calls, local: new LocalAddresses(), ownPorts: new Set([Number(port)]), transparent: false };
const destinations = new Destinations({ ...facts, direction: 'inbound', connectTimeoutMs: 1, onLoop: () => {} });
const sources = { tproxy: new ClientSources(calls), istio: new PassthroughSources(calls) };
const target = { host: '127.0.0.1', port: 1 };
const none = new Map<number, string>();
const times = { redirect: new Times(), tproxy: new Times(), istio: new Times() };
/** What it costs to measure. */
const nothing = new Times();
const answer = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';

let accepted = 0;
const server = createServer((client) => {
  accepted += 1;
  // Node asks for it once, and every connection does, captured or not.
  if (client.remoteAddress === undefined) throw new Error('a client has gone before it was asked for its address');
  const verdict = times.redirect.measure(() => destinations.of(client));
  if (typeof verdict === 'string') throw new Error(`the connection was taken for a ${verdict}: it was not captured`);
  for (const way of ['tproxy', 'istio'] as const) {
    const descriptor = times[way].measure(() => sources[way].open(client, target, none));
    if (typeof descriptor !== 'number') throw descriptor;
    calls.close(descriptor);
  }
  nothing.measure(() => {});
  client.on('error', () => {}).on('data', () => client.end(answer));
  if (accepted === Number(count)) {
    client.once('close', () => {
      const summary = Object.fromEntries(Object.entries(times).map(([way, all]) => [way, all.summary()]));
      process.stdout.write(`${JSON.stringify(summary)}\n`, () => process.exit(0));
    });
  }
});
server.listen(Number(port), '::', () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
