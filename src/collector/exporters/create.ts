// Makes the exporters of a collector from its backends, with a name for each.
import { randomUUID } from 'node:crypto';
import type { Log } from '../../runtime/log.ts';
import { type Backend, parseOtlpEndpoint, parseZipkinUrl } from '../backends.ts';
import { createOtlpClient } from './otlp-client.ts';
import { type BackendClient, type ExporterSettings, QueuedExporter } from './queued-exporter.ts';
import { createZipkinClient } from './zipkin-client.ts';

/**
 * One exporter per backend, named for its kind: `jaeger`, the second one `jaeger/2`.
 * @throws UsageError on a URL that cannot be used
 */
export function createExporters(
  backends: readonly Backend[],
  settings: ExporterSettings,
  timeoutMs: number,
  log: Log,
): QueuedExporter[] {
  const clients = backends.map((backend) => ({ kind: backend.kind, create: prepareClient(backend, timeoutMs) }));
  const counts = new Map<string, number>();
  return clients.map(({ kind, create }) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    const name = count === 1 ? kind : `${kind}/${count}`;
    return new QueuedExporter(name, create(), settings, log, partNames(name));
  });
}

/** All URLs are looked at before the first client opens anything. */
function prepareClient(backend: Backend, timeoutMs: number): () => BackendClient {
  if (backend.kind === 'zipkin') {
    const url = parseZipkinUrl(backend);
    return () => createZipkinClient(url, timeoutMs);
  }
  const endpoint = parseOtlpEndpoint(backend);
  return () => createOtlpClient(endpoint, timeoutMs);
}

/** Batch ids as sidecars write them: `<instance>/<epoch>/<seq>`. */
function partNames(exporter: string): () => string {
  const sender = `${randomUUID()}-${exporter.replace('/', '-')}/${Date.now()}`;
  let sequence = 0;
  return () => `${sender}/${++sequence}`;
}
