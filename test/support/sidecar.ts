// A sidecar of `tracecar sidecar` in front of a test's own server, and its numbers.
import type { TestContext } from 'node:test';
import { fetchText } from '../../src/cli/demo/fetch-text.ts';
import { type MetricSample, parseMetrics, sumOf } from '../../src/cli/demo/metrics-text.ts';
import { type OtlpSink, startOtlpSink } from './otlp-sink.ts';
import { type Program, startProgram } from './programs.ts';

export interface SidecarOptions {
  /** Port on 127.0.0.1 of the application behind the inbound listener. */
  readonly inbound?: number;
  /** Ports on 127.0.0.1 behind the outbound listeners. */
  readonly outbound?: readonly number[];
  /** Base URL of the collector. */
  readonly otlp: string;
  readonly protocol?: 'grpc' | 'http/protobuf';
  readonly service?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Sidecar {
  readonly inbound: number;
  readonly outbound: readonly number[];
  readonly admin: string;
  readonly program: Program;
  metrics(): Promise<MetricSample[]>;
  /** The span ledger at one moment. */
  ledger(): Promise<Ledger>;
}

export interface Ledger {
  readonly created: number;
  readonly exported: number;
  readonly dropped: number;
  readonly queued: number;
}

/** Starts a sidecar with ports of its own choice; batches leave after 50 ms unless `env` says otherwise. */
export async function startSidecar(t: TestContext, options: SidecarOptions): Promise<Sidecar> {
  const program = await startProgram(
    t,
    [
      'sidecar',
      ...['--service', options.service ?? 'app', '--admin', '127.0.0.1:0'],
      ...(options.inbound === undefined ? [] : ['--inbound', `127.0.0.1:0=127.0.0.1:${options.inbound}`]),
      ...(options.outbound ?? []).flatMap((port) => ['--outbound', `127.0.0.1:0=127.0.0.1:${port}`]),
      ...['--otlp-endpoint', options.otlp, '--otlp-protocol', options.protocol ?? 'http/protobuf'],
      // The tests' own clients know when they are done.
      ...['--drain-quiet', '0'],
      ...(options.args ?? []),
    ],
    { OTEL_BSP_SCHEDULE_DELAY: '50', ...options.env },
  );
  const ports = (value: unknown) =>
    (Array.isArray(value) ? value : []).map((pair) => Number(/:(\d+)=/.exec(String(pair))?.[1]));
  const admin = String(program.listening.admin);
  const metrics = async () => parseMetrics((await fetchText(`http://${admin}/stats/prometheus`)).body);
  return {
    inbound: ports(program.listening.inbound)[0] ?? 0,
    outbound: ports(program.listening.outbound),
    admin,
    program,
    metrics,
    async ledger() {
      const samples = await metrics();
      return {
        created: sumOf(samples, 'tracecar_spans_created_total'),
        exported: sumOf(samples, 'tracecar_spans_exported_total'),
        dropped: sumOf(samples, 'tracecar_spans_dropped_total'),
        queued: sumOf(samples, 'tracecar_spans_queued'),
      };
    },
  };
}

/** A sidecar in front of a port of 127.0.0.1, and the sink its spans go to. */
export async function startSidecarAndSink(
  t: TestContext,
  inbound: number,
): Promise<{ readonly sidecar: Sidecar; readonly sink: OtlpSink }> {
  const sink = await startOtlpSink(t);
  return { sink, sidecar: await startSidecar(t, { inbound, otlp: sink.url }) };
}
