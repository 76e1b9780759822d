// The sidecar's metrics by their names in the contract, read from plain counters when Prometheus asks.
import { type Registry, readCounter, readGauge, type Sample } from '../runtime/metrics.ts';
import { samplingReasons } from '../trace/sampling.ts';
import type { CaptureReport } from './capture/capture-status.ts';
import type { Exporter } from './export/exporter.ts';
import type { HeaderForwarding } from './header-forwarding.ts';
import type { Connections } from './open-connection.ts';
import { type DirectionStats, durationBucketsSeconds, type SidecarStats } from './stats.ts';

const directions = ['inbound', 'outbound'] as const;

export interface MetricSources {
  readonly stats: SidecarStats;
  readonly exporter: Exporter;
  readonly forwarding: HeaderForwarding;
  readonly connections: Connections;
  /** undefined without `--capture`. */
  readonly captureReport: () => CaptureReport | undefined;
}

/** Registers every metric of the sidecar. */
export function registerMetrics(registry: Registry, sources: MetricSources): void {
  registerSpans(registry, sources.exporter);
  registerRequests(registry, sources.stats);
  registerConnections(registry, sources);
  registerDecisions(registry, sources.stats);
  readCounter(registry, 'tracecar_context_conflicts_total', 'Trace contexts malformed or in conflict', ['kind'], () =>
    byLabel('kind', sources.stats.contextConflicts),
  );
  readCounter(registry, 'tracecar_head_budget_total', 'Heads left alone because of --max-added-head', [], () => [
    { value: sources.stats.headBudget },
  ]);
  readGauge(
    registry,
    'tracecar_forwards_headers',
    'Share of the outgoing calls made while serving that pass the trace context on: 1 all, 0 none',
    [],
    () => {
      const { share } = sources.forwarding.report();
      return share === undefined ? [] : [{ value: share }];
    },
  );
}

function registerSpans(registry: Registry, exporter: Exporter): void {
  readCounter(registry, 'tracecar_spans_created_total', 'Spans made', [], () => [{ value: exporter.created }]);
  readCounter(registry, 'tracecar_spans_exported_total', 'Spans the collector acknowledged', [], () => [
    { value: exporter.exported },
  ]);
  readCounter(registry, 'tracecar_spans_dropped_total', 'Spans given up, by reason', ['reason'], () =>
    byLabel('reason', exporter.dropped),
  );
  readGauge(registry, 'tracecar_spans_queued', 'Spans waiting for or in delivery', [], () => [
    { value: exporter.queued },
  ]);
}

function registerRequests(registry: Registry, stats: SidecarStats): void {
  const labels = ['direction', 'response_code'];
  readCounter(
    registry,
    'tracecar_requests_total',
    'Requests, sampled or not; response_code 0: no response',
    labels,
    () => directions.flatMap((direction) => requestSamples(direction, stats.of(direction))),
  );
  registry.registerMetric(new DurationHistogram(stats) as unknown as Parameters<Registry['registerMetric']>[0]);
  readCounter(registry, 'tracecar_unsolicited_responses_total', 'Responses nobody asked for', [], () => [
    { value: stats.unsolicitedResponses },
  ]);
}

function requestSamples(direction: string, stats: DirectionStats): Sample[] {
  const samples: Sample[] = [];
  for (const [status, value] of stats.requests.entries()) {
    if (value > 0) samples.push({ labels: { direction, response_code: status }, value });
  }
  return samples;
}

function registerConnections(registry: Registry, { stats, connections }: MetricSources): void {
  readGauge(registry, 'tracecar_connections', 'Open connections by protocol', ['protocol'], () => {
    const counts = new Map<string, number>();
    for (const { protocol } of connections) counts.set(protocol, (counts.get(protocol) ?? 0) + 1);
    return byLabel('protocol', counts);
  });
  readCounter(registry, 'tracecar_connections_degraded_total', 'Connections turned opaque', ['reason'], () =>
    byLabel('reason', stats.degraded),
  );
  readCounter(
    registry,
    'tracecar_requests_refused_total',
    'Requests refused by --strict or the forward proxy',
    ['reason'],
    () => byLabel('reason', stats.refusedRequests),
  );
  const perDirection = (read: (of: DirectionStats) => number) => () =>
    directions.map((direction) => ({ labels: { direction }, value: read(stats.of(direction)) }));
  readCounter(
    registry,
    'tracecar_connections_accepted_total',
    'Connections accepted',
    ['direction'],
    perDirection((of) => of.connectionsTotal),
  );
  readCounter(
    registry,
    'tracecar_connections_silent_total',
    'Connections that closed without a byte from the client',
    ['direction'],
    perDirection((of) => of.silentConnections),
  );
  readCounter(
    registry,
    'tracecar_connections_refused_total',
    'Connections reset at accept: over --max-connections, or meant for the sidecar itself (loop)',
    ['direction', 'reason'],
    () =>
      directions.flatMap((direction) => [
        { labels: { direction, reason: 'max_connections' }, value: stats.of(direction).refusedConnections },
        { labels: { direction, reason: 'loop' }, value: stats.of(direction).loops },
      ]),
  );
  readCounter(
    registry,
    'tracecar_connections_idle_timeout_total',
    'Connections closed because of --idle-timeout',
    ['direction'],
    perDirection((of) => of.idleTimeouts),
  );
  readCounter(
    registry,
    'tracecar_connect_failures_total',
    'Upstream connections that failed',
    ['direction', 'reason'],
    () =>
      directions.flatMap((direction) =>
        byLabel('reason', stats.of(direction).connectFailures).map(({ labels, value }) => ({
          labels: { ...labels, direction },
          value,
        })),
      ),
  );
}

/** Whether the rules lead connections here; what cannot be seen has no sample. */
export function registerCapture(registry: Registry, { captureReport }: MetricSources): void {
  readGauge(
    registry,
    'tracecar_captured',
    'Whether connections of a direction and address family are led here: 1 or 0',
    ['direction', 'family'],
    () => {
      const { captured = [], not_captured = [] } = captureReport() ?? {};
      const samples = (entries: readonly string[], value: number) =>
        entries.map((entry) => {
          const [direction = '', family = ''] = entry.split(' ');
          return { labels: { direction, family }, value };
        });
      return [...samples(captured, 1), ...samples(not_captured, 0)];
    },
  );
}

/** Envoy's `http.<prefix>.tracing.*`, by the names Prometheus shows them under, and our decision counter. */
function registerDecisions(registry: Registry, stats: SidecarStats): void {
  const labels = ['direction', 'reason', 'sampled'];
  readCounter(
    registry,
    'tracecar_sampling_decisions_total',
    'Sampling decisions by the step that decided',
    labels,
    () =>
      directions.flatMap((direction) =>
        samplingReasons.flatMap((reason, i) => [
          { labels: { direction, reason, sampled: 'true' }, value: stats.of(direction).sampled[i]! },
          { labels: { direction, reason, sampled: 'false' }, value: stats.of(direction).notSampled[i]! },
        ]),
      ),
  );
  for (const direction of directions) {
    const of = stats.of(direction);
    const taken = (reason: (typeof samplingReasons)[number]) => of.sampled[samplingReasons.indexOf(reason)]!;
    const prefix = `http_${direction}_tracing`;
    const counters: [string, () => number][] = [
      ['random_sampling', () => taken('random') + taken('parent')],
      ['service_forced', () => taken('service_forced')],
      ['client_enabled', () => taken('client_forced')],
      ['not_traceable', () => of.notSampled.reduce((sum, value) => sum + value, 0)],
      ['health_check', () => of.notSampled[samplingReasons.indexOf('excluded')]!],
    ];
    for (const [name, read] of counters) {
      readCounter(registry, `${prefix}_${name}`, `Envoy's tracing.${name}`, [], () => [{ value: read() }]);
    }
  }
}

function byLabel(label: string, counts: ReadonlyMap<string, number>): Sample[] {
  return [...counts].map(([key, value]) => ({ labels: { [label]: key }, value }));
}

/** prom-client's histogram can only be observed into; this one shows buckets that were counted elsewhere. */
class DurationHistogram {
  readonly name = 'tracecar_request_duration_seconds';
  readonly help = 'From the request head to the last byte of the exchange, sampled or not';
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly labelNames = ['direction', 'le'];
  readonly #stats: SidecarStats;

  constructor(stats: SidecarStats) {
    this.#stats = stats;
  }

  reset(): void {}

  get() {
    const values = directions.flatMap((direction) => this.#samples(direction, this.#stats.of(direction)));
    const { name, help, type, aggregator } = this;
    return Promise.resolve({ name, help, type, aggregator, values });
  }

  #samples(direction: string, stats: DirectionStats) {
    let total = 0;
    const buckets = [...durationBucketsSeconds, '+Inf' as const].map((le, i) => {
      total += stats.durationBuckets[i]!;
      return { metricName: `${this.name}_bucket`, labels: { direction, le: String(le) }, value: total };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels: { direction }, value: stats.durationSumSeconds },
      { metricName: `${this.name}_count`, labels: { direction }, value: total },
    ];
  }
}
