// A forward proxy in the test's own process: its port, its spans, its counters, and origins that see exact bytes.
import net from 'node:net';
import type { TestContext } from 'node:test';
import { type MetricSample, parseMetrics } from '../../../src/cli/demo/metrics-text.ts';
import { createLog } from '../../../src/runtime/log.ts';
import { loadConfig } from '../../../src/sidecar/load-config.ts';
import { startSidecar } from '../../../src/sidecar/main.ts';
import type { FlagValues } from '../../../src/sidecar/options.ts';
import { eventually } from '../../support/eventually.ts';
import { type OtlpSink, startOtlpSink } from '../../support/otlp-sink.ts';
import { connectRaw, type RawClient } from '../../support/raw-tcp.ts';

export interface TestProxy {
  readonly port: number;
  readonly sink: OtlpSink;
  connect(): Promise<RawClient>;
  /** A new connection that sends `text`. */
  send(text: string): Promise<RawClient>;
  /** The value of a metric with these labels, 0 when there is none. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  get(path: string): Promise<string>;
}

/** Starts a sidecar that is only a forward proxy; it ends with the test. */
export async function startProxy(t: TestContext, flags: FlagValues = {}): Promise<TestProxy> {
  // Before the sink's own end, so that the last spans still have somewhere to go.
  let stop = async () => {};
  t.after(() => stop());
  const sink = await startOtlpSink(t);
  const loaded = loadConfig(
    {
      'outbound-proxy': '127.0.0.1:0',
      admin: '127.0.0.1:0',
      service: 'app',
      'otlp-endpoint': sink.url,
      'otlp-protocol': 'http/protobuf',
      'schedule-delay': '20',
      'drain-timeout': '0',
      ...flags,
    },
    {},
  );
  const sidecar = await startSidecar(loaded, createLog('sidecar', 'silent'));
  stop = () => sidecar.drain();
  const { port } = sidecar.outboundProxy!.bound;
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${sidecar.admin.port}${path}`)).text();
  const matches = (sample: MetricSample, name: string, labels: Readonly<Record<string, string>>) =>
    sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value);
  return {
    port,
    sink,
    connect: () => connectRaw(t, port),
    async send(text) {
      const client = await connectRaw(t, port);
      client.socket.write(text, 'latin1');
      return client;
    },
    async metric(name, labels = {}) {
      const samples = parseMetrics(await get('/metrics'));
      return samples.filter((sample) => matches(sample, name, labels)).reduce((sum, { value }) => sum + value, 0);
    },
    get,
  };
}

export interface TestOrigin {
  readonly port: number;
  /** `127.0.0.1:PORT`. */
  readonly authority: string;
  /** All bytes each connection has sent, in the order they came; lines of ours taken out. */
  received(connection?: number): string;
  readonly sockets: readonly net.Socket[];
  /** Resolves when the bytes of a connection contain `marker`. */
  saw(marker: string, connection?: number): Promise<string>;
}

const inserted = /(?:traceparent|x-b3-traceid|x-b3-spanid|x-b3-sampled|x-request-id): [0-9a-f-]+\r\n/g;

/** A server on 127.0.0.1 (or `host`) that calls `onText` with all text of a connection so far, after every read. */
export async function startOrigin(
  t: TestContext,
  onText: (socket: net.Socket, text: string) => void = () => {},
  host = '127.0.0.1',
): Promise<TestOrigin> {
  const sockets: net.Socket[] = [];
  const texts: string[] = [];
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const index = sockets.push(socket) - 1;
    texts[index] = '';
    socket.setEncoding('latin1');
    socket.on('error', () => {});
    socket.on('data', (text: string) => {
      texts[index] += text;
      onText(socket, texts[index]!);
    });
    socket.on('end', () => socket.end());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as net.AddressInfo;
  const received = (connection = 0) => (texts[connection] ?? '').replaceAll(inserted, '');
  return {
    port,
    authority: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    sockets,
    received,
    saw: (marker, connection = 0) =>
      eventually(
        () => `"${marker}" at the origin; it has ${JSON.stringify(received(connection))}`,
        () => received(connection).includes(marker) && received(connection),
      ),
  };
}

/** Answers each complete request without a body by its path, but never one for `/hold`. */
export function echoPaths(prefix = ''): (socket: net.Socket, text: string) => void {
  const answered = new WeakMap<net.Socket, number>();
  return (socket, text) => {
    const requests = text.split('\r\n\r\n').slice(0, -1);
    for (const request of requests.slice(answered.get(socket) ?? 0)) {
      const path = request.split(' ')[1];
      const body = `${prefix}${path}`;
      if (path === '/hold') continue;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }
    answered.set(socket, requests.length);
  };
}
