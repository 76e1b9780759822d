// How late the event loop is, under prom-client's names but at a tenth of the cost: prom-client's own watch wakes an idle
// process a hundred times a second, and counts its period of 10 ms as lag.
import { createHistogram } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

const periodMs = 100;
const nsPerMs = 1e6;
const nsPerSecond = 1e9;

/** Registers `nodejs_eventloop_lag_{min,max,mean,stddev,p50,p90,p99}_seconds`, each since the scrape before. */
export function registerEventLoopLag(registry: Registry): void {
  const histogram = createHistogram();
  let dueMs = performance.now() + periodMs;
  const look = () => {
    const now = performance.now();
    histogram.record(Math.max(1, Math.round((now - dueMs) * nsPerMs)));
    dueMs = now + periodMs;
  };
  setInterval(look, periodMs).unref();
  const readings = {
    min: () => histogram.min,
    max: () => histogram.max,
    mean: () => histogram.mean,
    stddev: () => histogram.stddev,
    p50: () => histogram.percentile(50),
    p90: () => histogram.percentile(90),
    p99: () => histogram.percentile(99),
  };
  const aggregators: Readonly<Record<string, 'min' | 'max'>> = { min: 'min', max: 'max' };
  const gauges = new Map<string, Gauge>();
  // The first gauge that is read takes all readings, for the histogram begins anew with each scrape.
  const collect = () => {
    const empty = histogram.count === 0;
    for (const [name, readNs] of Object.entries(readings)) gauges.get(name)?.set(empty ? 0 : readNs() / nsPerSecond);
    histogram.reset();
  };
  for (const name of Object.keys(readings)) {
    const metric = `nodejs_eventloop_lag_${name}_seconds`;
    const help = `How late timers were since the last scrape: ${name}, in seconds.`;
    const aggregator = aggregators[name] ?? 'average';
    const first = gauges.size === 0;
    gauges.set(name, new Gauge({ name: metric, help, aggregator, registers: [registry], ...(first && { collect }) }));
  }
}
