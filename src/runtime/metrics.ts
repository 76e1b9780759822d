// Metrics for Prometheus by prom-client: hot counters stay plain numbers and are read only when scraped.
import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import { registerProcessMetrics } from './process-metrics.ts';

export type { Registry } from 'prom-client';

/** One sample of a metric that is read at scrape time. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** A registry with the process's own metrics (`process_*`, `nodejs_*`: event-loop lag, GC pauses) in it. */
export function createRegistry(): Registry {
  const registry = new Registry();
  registerProcessMetrics(registry);
  return registry;
}

/** Every sample of a registry as plain values, for another process to merge with its own. */
export function readValues(registry: Registry): Promise<readonly object[]> {
  return registry.getMetricsAsJSON();
}

/** One page of what several processes read of their registries: counts are summed, lags averaged. */
export function mergedPage(values: readonly (readonly object[])[]): Promise<string> {
  return AggregatorRegistry.aggregate([...values]).metrics();
}

/** Registers a counter whose values are read from `read` at each scrape; the caller keeps the totals. */
export function readCounter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => Iterable<Sample>,
): void {
  new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset();
      for (const sample of read()) this.inc(sample.labels ?? {}, sample.value);
    },
  });
}

/** Registers a gauge whose values are read from `read` at each scrape. */
export function readGauge(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => Iterable<Sample>,
): void {
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset();
      for (const sample of read()) this.set(sample.labels ?? {}, sample.value);
    },
  });
}
