// Waits, by their own metrics, until every sidecar and the collector have passed on all spans of a run.
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchText } from './fetch-text.ts';
import type { Mesh } from './mesh.ts';
import { type MetricSample, parseMetrics, sumOf } from './metrics-text.ts';
import type { ServiceName } from './topology.ts';

export interface ExpectedSpans {
  /** By the service whose sidecar makes them. */
  readonly byService: ReadonlyMap<ServiceName, number>;
  /** Of all sidecars and the client. */
  readonly total: number;
}

const pollMs = 50;

/** Resolves when all is passed on; throws after `timeoutMs`, naming the first hop that still lacks or holds spans. */
export async function awaitSettled(mesh: Mesh, expected: ExpectedSpans, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const open = await firstUnsettled(mesh, expected);
    if (open === undefined) return;
    if (Date.now() >= deadline) throw new Error(`after ${timeoutMs / 1000} s ${open}`);
    await sleep(pollMs);
  }
}

async function firstUnsettled(mesh: Mesh, expected: ExpectedSpans): Promise<string | undefined> {
  for (const node of mesh.nodes) {
    const samples = await readMetrics(`http://${node.admin}/stats/prometheus`);
    const open = unsettledSidecar(samples, expected.byService.get(node.service) ?? 0);
    if (open !== undefined) return `the sidecar of ${node.service} ${open}`;
  }
  const open = unsettledCollector(await readMetrics(`http://${mesh.collector.metrics}/metrics`), expected.total);
  return open && `the collector ${open}`;
}

function unsettledSidecar(samples: readonly MetricSample[], expected: number): string | undefined {
  const created = sumOf(samples, 'tracecar_spans_created_total');
  const exported = sumOf(samples, 'tracecar_spans_exported_total');
  const dropped = sumOf(samples, 'tracecar_spans_dropped_total');
  const queued = sumOf(samples, 'tracecar_spans_queued');
  if (created !== exported + dropped + queued) {
    return `does not add up: created ${created}, exported ${exported}, dropped ${dropped}, queued ${queued}`;
  }
  if (dropped > 0) return `dropped ${dropped} spans (${reasons(samples)})`;
  if (created !== expected) return `created ${created} spans instead of ${expected}`;
  return queued > 0 ? `still holds ${queued} spans` : undefined;
}

function reasons(samples: readonly MetricSample[]): string {
  const dropped = samples.filter((sample) => sample.name === 'tracecar_spans_dropped_total' && sample.value > 0);
  return dropped.map((sample) => `${sample.labels.reason} ${sample.value}`).join(', ');
}

function unsettledCollector(samples: readonly MetricSample[], expected: number): string | undefined {
  const accepted = sumOf(samples, 'otelcol_receiver_accepted_spans');
  if (accepted !== expected) return `accepted ${accepted} spans instead of ${expected}`;
  const exporters = new Set(samples.flatMap((sample) => (sample.labels.exporter ? [sample.labels.exporter] : [])));
  for (const exporter of exporters) {
    const sent = sumOf(samples, 'otelcol_exporter_sent_spans', { exporter });
    const queued = sumOf(samples, 'otelcol_exporter_queue_size', { exporter });
    const failed =
      sumOf(samples, 'otelcol_exporter_send_failed_spans', { exporter }) +
      sumOf(samples, 'otelcol_exporter_enqueue_failed_spans', { exporter });
    if (failed > 0) return `lost ${failed} spans on the way to ${exporter}`;
    if (queued > 0 || sent !== expected) return `has delivered ${sent} of ${expected} spans to ${exporter}`;
  }
  return undefined;
}

async function readMetrics(url: string): Promise<MetricSample[]> {
  return parseMetrics((await fetchText(url)).body);
}
