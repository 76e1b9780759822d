// The metrics of one sidecar process, loaded apart from it: they are not needed to listen.
import { createRegistry, mergedPage, readCounter, readValues } from '../runtime/metrics.ts';
import type { Worker } from '../runtime/supervisor/worker.ts';
import type { Metrics } from './admin.ts';
import { type MetricSources, registerCapture, registerMetrics } from './metrics.ts';

export function createMetrics(sources: MetricSources, worker: Worker): Metrics {
  const registry = createRegistry();
  registerMetrics(registry, sources);
  readCounter(registry, 'tracecar_worker_restarts_total', 'Starts of a worker after one that ended unasked', [], () => [
    { value: worker.restarts },
  ]);
  // Of the first only: values of all workers are summed.
  if (worker.index === 0) registerCapture(registry, sources);
  return {
    contentType: registry.contentType,
    values: () => readValues(registry),
    async page(others) {
      return others.length === 0 ? registry.metrics() : mergedPage([await readValues(registry), ...others]);
    },
  };
}
