// A collector of `tracecar collector` for tests, and what it says of itself and holds.

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { fetchText } from '../../src/cli/demo/fetch-text.ts';
import { type MetricSample, parseMetrics } from '../../src/cli/demo/metrics-text.ts';
import { readTracesOf, type StoredSpan } from '../../src/cli/demo/stored-spans.ts';
import { type Program, startProgram } from './programs.ts';

/** `host:port` of each listener. */
export interface CollectorAddresses {
  readonly otlpGrpc: string;
  readonly otlpHttp: string;
  readonly metrics: string;
  readonly health: string;
  readonly viewer: string;
  readonly zipkinApi: string;
}

export interface Collector extends CollectorAddresses {
  readonly program: Program;
  samples(): Promise<MetricSample[]>;
  /** The stored spans of the latest traces of a service. */
  stored(service: string): Promise<StoredSpan[]>;
}

const flags: Readonly<Record<keyof CollectorAddresses, string>> = {
  otlpGrpc: '--otlp-grpc',
  otlpHttp: '--otlp-http',
  metrics: '--metrics',
  health: '--health',
  viewer: '--viewer',
  zipkinApi: '--zipkin-api',
};

/** The flags that make a collector listen on these addresses, and on free ports where none is given. */
export function addressFlags(at: Partial<CollectorAddresses> = {}): string[] {
  const names = Object.keys(flags) as (keyof CollectorAddresses)[];
  return names.flatMap((name) => [flags[name], at[name] ?? '127.0.0.1:0']);
}

/** Starts a collector with the embedded store, on ports of its own choice unless `at` names them. */
export async function startCollector(
  t: TestContext,
  args: readonly string[] = [],
  at: Partial<CollectorAddresses> = {},
): Promise<Collector> {
  const program = await startProgram(t, ['collector', ...addressFlags(at), ...args]);
  const address = (name: keyof CollectorAddresses) => String(program.listening[name]);
  const viewer = address('viewer');
  return {
    program,
    otlpGrpc: address('otlpGrpc'),
    otlpHttp: address('otlpHttp'),
    metrics: address('metrics'),
    health: address('health'),
    viewer,
    zipkinApi: address('zipkinApi'),
    samples: async () => parseMetrics((await fetchText(`http://${address('metrics')}/metrics`)).body),
    stored: (service) => readTracesOf(viewer, service, 100_000),
  };
}

export interface ZipkinSpan {
  readonly traceId: string;
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly name?: string;
}

export interface ZipkinSink {
  /** For `--zipkin`. */
  readonly url: string;
  readonly spans: readonly ZipkinSpan[];
}

/** A backend that takes Zipkin v2 JSON and keeps every span of every request, repeats included. */
export async function startZipkinSink(t: TestContext): Promise<ZipkinSink> {
  const spans: ZipkinSpan[] = [];
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    spans.push(...(JSON.parse(Buffer.concat(chunks).toString()) as ZipkinSpan[]));
    response.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v2/spans`, spans };
}
