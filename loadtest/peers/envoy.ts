// Envoy as a reverse proxy with one worker: untraced, with its OpenTelemetry tracer, with its Zipkin tracer.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { findProgram, isExecutable } from '../children.ts';
import { type Peer, type Surroundings, startServer } from './peer.ts';

const fetched = path.join(process.env.TRACECAR_REAL_DIR ?? path.join('.cache', 'real'), 'envoy', 'bin', 'envoy');
/** Envoy's executable, undefined where there is none. */
export const envoyProgram = process.env.ENVOY ?? (isExecutable(fetched) ? path.resolve(fetched) : findProgram('envoy'));

type Provider = Readonly<Record<string, unknown>>;

function envoy(name: string, tracing: string, provider?: (sinkPort: number) => Provider): Peer {
  return {
    name,
    tracing,
    exports: provider !== undefined,
    missing:
      envoyProgram === undefined
        ? 'Envoy is not in PATH, $ENVOY or .cache/real (npm run test:real gets it)'
        : undefined,
    start: async (surroundings) =>
      await startServer(name, (port) => {
        const file = path.join(surroundings.folder, `${name.replaceAll(' ', '-')}.json`);
        writeFileSync(file, JSON.stringify(bootstrap(port, surroundings, provider?.(surroundings.sinkPort))));
        return [envoyProgram ?? 'envoy', '-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error'];
      }),
  };
}

const type = (name: string): { '@type': string } => ({ '@type': `type.googleapis.com/${name}` });

function cluster(name: string, port: number): unknown {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
}

function bootstrap(port: number, { upstreamPort, sinkPort }: Surroundings, provider: Provider | undefined): unknown {
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'upstream', timeout: '0s' } }];
  const connectionManager = {
    ...type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'load',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: type('envoy.extensions.filters.http.router.v3.Router') },
    ],
    ...(provider === undefined ? {} : { tracing: { random_sampling: { value: 100 }, provider } }),
  };
  const filter = { name: 'envoy.filters.network.http_connection_manager', typed_config: connectionManager };
  const address = { socket_address: { address: '127.0.0.1', port_value: port } };
  return {
    node: { id: 'load', cluster: 'load' },
    static_resources: {
      listeners: [{ name: 'load', address, filter_chains: [{ filters: [filter] }] }],
      clusters: [cluster('upstream', upstreamPort), cluster('sink', sinkPort)],
    },
  };
}

/** envoy.config.trace.v3.OpenTelemetryConfig over OTLP/HTTP, which is how the sidecar beside it exports too. */
function openTelemetry(sinkPort: number): Provider {
  const uri = `http://127.0.0.1:${sinkPort}/v1/traces`;
  return {
    name: 'envoy.tracers.opentelemetry',
    typed_config: {
      ...type('envoy.config.trace.v3.OpenTelemetryConfig'),
      service_name: 'load',
      http_service: { http_uri: { uri, cluster: 'sink', timeout: '5s' } },
    },
  };
}

/** envoy.config.trace.v3.ZipkinConfig with the v2 JSON endpoint. */
function zipkin(): Provider {
  return {
    name: 'envoy.tracers.zipkin',
    typed_config: {
      ...type('envoy.config.trace.v3.ZipkinConfig'),
      collector_cluster: 'sink',
      collector_endpoint: '/api/v2/spans',
      collector_endpoint_version: 'HTTP_JSON',
    },
  };
}

export const envoys: readonly Peer[] = [
  envoy('Envoy', 'none'),
  envoy('Envoy OpenTelemetry', '100 %, OTLP/HTTP', openTelemetry),
  envoy('Envoy Zipkin', '100 %, Zipkin v2', zipkin),
];
