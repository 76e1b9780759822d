// The sidecar's admin pages: readiness, metrics, the effective configuration, the open connections.
import { json, type Routes, text } from '../runtime/http-routes.ts';
import type { Registry } from '../runtime/metrics.ts';
import type { ConfigDump } from './config-dump.ts';
import type { Exporter } from './export/exporter.ts';
import type { HeaderForwarding } from './header-forwarding.ts';
import type { Connections } from './open-connection.ts';

export interface AdminSources {
  readonly isReady: () => boolean;
  readonly registry: Registry;
  readonly configDump: () => ConfigDump;
  readonly connections: Connections;
  readonly forwarding: HeaderForwarding;
  readonly exporter: Exporter;
}

/** Connections are listed up to here; the count is always exact. */
const maxListed = 1000;

/** The routes of the admin server. */
export function adminRoutes(sources: AdminSources): Routes {
  const metrics = async () => ({
    type: sources.registry.contentType,
    body: await sources.registry.metrics(),
  });
  return {
    'GET /ready': () => (sources.isReady() ? text('LIVE\n') : text('DRAINING\n', 503)),
    'GET /stats/prometheus': metrics,
    'GET /metrics': metrics,
    'GET /config_dump': () => json(sources.configDump()),
    'GET /connections': () => json(connectionsPage(sources)),
  };
}

function connectionsPage({ connections, forwarding, exporter }: AdminSources) {
  const listed = [...connections].slice(0, maxListed).map((connection) => connection.describe());
  return {
    forwards_headers: forwarding.report(),
    span_delivery: { queued: exporter.queued, last_failure: exporter.lastFailure || null },
    count: connections.size,
    connections: listed,
  };
}
