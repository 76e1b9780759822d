// How long garbage collections take, under prom-client's name, from a part of the time: being told of one costs Node
// 0.1 ms and 2 KB that live long, which prom-client's own watch pays for each of dozens a second.
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { Histogram, type Registry } from 'prom-client';

export interface Watch {
  /** Collections are observed for so long … */
  readonly watchMs: number;
  /** … in every such period, and stand for those of all of it. */
  readonly periodMs: number;
}

const oneSecondInTen: Watch = { watchMs: 1_000, periodMs: 10_000 };

const kinds: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};

/** Registers the histogram `nodejs_gc_duration_seconds{kind}`; each collection seen counts `periodMs / watchMs` times. */
export function registerGcPauses(registry: Registry, { watchMs, periodMs }: Watch = oneSecondInTen): void {
  const histogram = new Histogram({
    name: 'nodejs_gc_duration_seconds',
    help: `Pauses of garbage collections by kind, estimated from ${watchMs / 1000} s in every ${periodMs / 1000} s.`,
    labelNames: ['kind'],
    buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.1, 1],
    registers: [registry],
  });
  const weight = Math.round(periodMs / watchMs);
  const count = (entries: readonly { readonly detail?: unknown; readonly duration: number }[]) => {
    for (const { detail, duration } of entries) {
      const kind = kinds[(detail as { readonly kind: number }).kind] ?? 'other';
      for (let times = 0; times < weight; times++) histogram.observe({ kind }, duration / 1000);
    }
  };
  const observer = new PerformanceObserver((list) => count(list.getEntries()));
  const watch = () => {
    observer.observe({ entryTypes: ['gc'] });
    setTimeout(() => {
      count(observer.takeRecords());
      observer.disconnect();
    }, watchMs).unref();
  };
  watch();
  setInterval(watch, periodMs).unref();
}
