// The collector's own metrics, under the OpenTelemetry Collector's names, with a reason on every drop beside them.
import { createRegistry, type Registry, readCounter, readGauge, type Sample } from '../runtime/metrics.ts';
import type { Destination } from './destination.ts';
import type { Pipeline, ReceiverStats, TransportName } from './pipeline.ts';

/** A registry that reads the pipeline's and the destinations' counts at each scrape. */
export function createCollectorRegistry(pipeline: Pipeline, destinations: readonly Destination[]): Registry {
  const registry = createRegistry();
  registerReceivers(registry, pipeline);
  registerExporters(registry, destinations);
  registerAccount(registry, destinations);
  return registry;
}

function registerReceivers(registry: Registry, pipeline: Pipeline): void {
  const count = (name: string, help: string, read: (stats: ReceiverStats) => number) => {
    const transports = Object.entries(pipeline.stats) as [TransportName, ReceiverStats][];
    readCounter(registry, name, help, ['receiver', 'transport'], () =>
      transports.map(([transport, stats]) => ({ labels: { receiver: 'otlp', transport }, value: read(stats) })),
    );
  };
  count('otelcol_receiver_accepted_spans', 'Spans taken.', (stats) => stats.acceptedSpans);
  count('otelcol_receiver_refused_spans', 'Bad spans cut out of their requests.', (stats) => stats.refusedSpans);
  count(
    'tracecar_collector_malformed_requests_total',
    'Requests refused as a whole because they cannot be read.',
    (stats) => stats.malformedRequests,
  );
  count(
    'tracecar_collector_repeated_batches_total',
    'Batches that had been taken before: answered, not stored again.',
    (stats) => stats.repeatedBatches,
  );
  count('tracecar_collector_repeated_spans_total', 'Spans in repeated batches.', (stats) => stats.repeatedSpans);
}

function registerExporters(registry: Registry, destinations: readonly Destination[]): void {
  const labelNames = ['exporter'];
  const each = (read: (destination: Destination) => number) => (): Sample[] =>
    destinations.map((destination) => ({ labels: { exporter: destination.name }, value: read(destination) }));
  readCounter(
    registry,
    'otelcol_exporter_sent_spans',
    'Spans the destination took.',
    labelNames,
    each(({ stats }) => stats.sent),
  );
  readCounter(
    registry,
    'otelcol_exporter_send_failed_spans',
    'Spans given up after they had been queued.',
    labelNames,
    each((destination) => droppedSpans(destination) - queueFull(destination)),
  );
  readCounter(
    registry,
    'otelcol_exporter_enqueue_failed_spans',
    'Spans dropped because the queue was full.',
    labelNames,
    each(queueFull),
  );
  const queues = destinations.filter((destination) => destination.capacityBytes > 0);
  const gauge = (name: string, help: string, read: (destination: Destination) => number) =>
    readGauge(registry, name, help, ['exporter', 'data_type'], () =>
      queues.map((queue) => ({ labels: { exporter: queue.name, data_type: 'traces' }, value: read(queue) })),
    );
  gauge('otelcol_exporter_queue_size', 'Bytes waiting or being sent.', (queue) => queue.queuedBytes);
  gauge('otelcol_exporter_queue_capacity', 'Bytes the queue may hold.', (queue) => queue.capacityBytes);
}

/** Per destination, at any time: accepted = sent + dropped (all reasons) + queued. */
function registerAccount(registry: Registry, destinations: readonly Destination[]): void {
  readCounter(
    registry,
    'tracecar_collector_spans_accepted_total',
    'Spans handed to a destination.',
    ['destination'],
    () => destinations.map(({ name, stats }) => ({ labels: { destination: name }, value: stats.accepted })),
  );
  readCounter(registry, 'tracecar_collector_spans_sent_total', 'Spans a destination took.', ['destination'], () =>
    destinations.map(({ name, stats }) => ({ labels: { destination: name }, value: stats.sent })),
  );
  readCounter(
    registry,
    'tracecar_collector_spans_dropped_total',
    'Spans a destination did not get, by reason.',
    ['destination', 'reason'],
    () =>
      destinations.flatMap(({ name, stats }) =>
        [...stats.dropped].map(([reason, value]) => ({ labels: { destination: name, reason }, value })),
      ),
  );
  readGauge(registry, 'tracecar_collector_spans_queued', 'Spans waiting or being sent.', ['destination'], () =>
    destinations.map(({ name, queuedSpans }) => ({ labels: { destination: name }, value: queuedSpans })),
  );
}

function droppedSpans({ stats }: Destination): number {
  let spans = 0;
  for (const dropped of stats.dropped.values()) spans += dropped;
  return spans;
}

function queueFull({ stats }: Destination): number {
  return stats.dropped.get('queue_full') ?? 0;
}
