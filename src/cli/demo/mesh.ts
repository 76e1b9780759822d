// Starts the demo's processes: the collector, four services, a sidecar beside each, all at once on free ports.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChildEnded, type ChildGroup, type ChildSpec, createChildGroup } from './children.ts';
import { pickPorts } from './ports.ts';
import { calls, type ServiceName, servicePort, services } from './topology.ts';

export interface MeshOptions {
  readonly viewerPort: number;
  readonly jaeger: readonly string[];
  readonly zipkin: readonly string[];
  /** Use the ports of the documentation (15000, 4317, ...) where they are free. */
  readonly usualPorts: boolean;
}

export interface MeshNode {
  readonly service: ServiceName;
  /** The service itself, not through its sidecar. */
  readonly direct: string;
  /** Its sidecar's inbound listener. */
  readonly inbound: string;
  readonly admin: string;
}

export interface Mesh {
  readonly nodes: readonly MeshNode[];
  /** `host:port` of each of the collector's listeners. */
  readonly collector: { readonly otlpHttp: string; readonly metrics: string; readonly viewer: string };
  readonly group: ChildGroup;
}

const demoFolder = fileURLToPath(new URL('../../../demo/', import.meta.url));
const endWithParent = new URL('../../../demo/end-with-parent.mjs', import.meta.url).href;
const extension = path.extname(fileURLToPath(import.meta.url));
const program = fileURLToPath(new URL(`../main${extension}`, import.meta.url));
const attempts = 4;

/**
 * Starts everything and resolves when everything listens. A port lost to another process means a fresh start with
 * other ports; anything else that ends a child is thrown, with nothing left running.
 * @param onGroup is given each attempt's children as soon as there may be any, to stop them on a signal
 */
export async function startMesh(options: MeshOptions, onGroup: (group: ChildGroup) => void): Promise<Mesh> {
  for (let attempt = 1; ; attempt++) {
    const group = createChildGroup();
    onGroup(group);
    try {
      return await startOnce({ ...options, usualPorts: options.usualPorts && attempt === 1 }, group);
    } catch (error) {
      await group.stop();
      if (!(error instanceof ChildEnded) || !error.portTaken || attempt === attempts) throw error;
    }
  }
}

async function startOnce(options: MeshOptions, group: ChildGroup): Promise<Mesh> {
  const usual = (port: number) => (options.usualPorts ? port : 0);
  const wanted = [4317, 4318, 8888, 13133, 9411, 15000, 15006, 15001].map(usual);
  const [grpc, http, metrics, health, zipkin, firstAdmin, firstInbound, firstOutbound, ...rest] = (await pickPorts([
    ...wanted,
    ...Array.from({ length: services.length * 5 }, () => 0),
  ])) as [number, number, number, number, number, number, number, number, ...number[]];
  const next = () => rest.shift()!;
  const nodes = services.map((service, i) => ({
    service,
    app: next(),
    inbound: i === 0 ? firstInbound : next(),
    admin: i === 0 ? firstAdmin : next(),
    outbound: calls[service].map((_, k) => (i === 0 && k === 0 ? firstOutbound : next())),
  }));
  const inboundOf = (service: ServiceName) => nodes.find((node) => node.service === service)!.inbound;
  const collectorPorts = { grpc, http, metrics, health, zipkin, viewer: options.viewerPort };

  const collecting = group.start(collectorSpec(collectorPorts, options));
  const started = [
    collecting,
    ...nodes.map((node) => group.start(sidecarSpec(node, inboundOf, collectorPorts))),
    ...nodes.map((node) => group.start(serviceSpec(node))),
  ];
  await Promise.all(started).catch(async (error: unknown) => {
    await Promise.allSettled([group.stop(), ...started]);
    throw error;
  });
  const listening = await collecting;
  return {
    group,
    nodes: nodes.map((node) => ({
      service: node.service,
      direct: `127.0.0.1:${node.app}`,
      inbound: `127.0.0.1:${node.inbound}`,
      admin: `127.0.0.1:${node.admin}`,
    })),
    collector: {
      otlpHttp: `127.0.0.1:${http}`,
      metrics: `127.0.0.1:${metrics}`,
      viewer: String(listening.viewer ?? `127.0.0.1:${options.viewerPort}`),
    },
  };
}

interface CollectorPorts {
  readonly grpc: number;
  readonly http: number;
  readonly metrics: number;
  readonly health: number;
  readonly zipkin: number;
  readonly viewer: number;
}

interface PlannedNode {
  readonly service: ServiceName;
  readonly app: number;
  readonly inbound: number;
  readonly admin: number;
  readonly outbound: readonly number[];
}

// How this very process was started (from the sources by a loader, or compiled) is how its children are.
function tracecar(...args: readonly string[]): string[] {
  const loader = process.execArgv.flatMap((arg, i, all) =>
    /^--(?:import|loader|require)=/.test(arg) ? [arg] : arg === '--import' ? [arg, all[i + 1] ?? ''] : [],
  );
  return [...loader, '--import', endWithParent, '--max-old-space-size=128', program, ...args];
}

function collectorSpec(ports: CollectorPorts, options: MeshOptions): ChildSpec {
  const at = (port: number) => `127.0.0.1:${port}`;
  return {
    name: 'the collector',
    // Stopped last: it must outlive the sidecars that flush into it.
    stage: 0,
    args: tracecar(
      'collector',
      ...['--otlp-grpc', at(ports.grpc), '--otlp-http', at(ports.http), '--metrics', at(ports.metrics)],
      ...['--health', at(ports.health), '--zipkin-api', at(ports.zipkin), '--viewer', at(ports.viewer)],
      ...options.jaeger.flatMap((url) => ['--jaeger', url]),
      ...options.zipkin.flatMap((url) => ['--zipkin', url]),
    ),
  };
}

function sidecarSpec(node: PlannedNode, inboundOf: (s: ServiceName) => number, ports: CollectorPorts): ChildSpec {
  // Both transports are shown: gRPC where calls are made, HTTP at the leaves.
  const overGrpc = calls[node.service].length > 0;
  return {
    name: `the sidecar of ${node.service}`,
    stage: 1,
    args: tracecar(
      'sidecar',
      ...['--service', node.service, '--admin', `127.0.0.1:${node.admin}`],
      ...['--inbound', `127.0.0.1:${node.inbound}=127.0.0.1:${node.app}`],
      ...calls[node.service].flatMap((callee, i) => [
        '--outbound',
        `127.0.0.1:${node.outbound[i]}=127.0.0.1:${inboundOf(callee)}`,
      ]),
      ...['--otlp-protocol', overGrpc ? 'grpc' : 'http/protobuf'],
      ...['--otlp-endpoint', `http://127.0.0.1:${overGrpc ? ports.grpc : ports.http}`],
      ...['--drain-timeout', '2s', '--drain-quiet', '0'],
    ),
    env: { OTEL_BSP_SCHEDULE_DELAY: '250' },
  };
}

function serviceSpec(node: PlannedNode): ChildSpec {
  const peers = calls[node.service].map((callee, i) => [callee.toUpperCase(), `127.0.0.1:${node.outbound[i]}`]);
  return {
    name: node.service,
    stage: 2,
    args: ['--import', endWithParent, '--max-old-space-size=64', path.join(demoFolder, `${node.service}.mjs`)],
    env: { PORT: String(node.app), SERVICE_PORT: String(servicePort), ...Object.fromEntries(peers) },
  };
}
