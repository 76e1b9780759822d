// The pods of the page on capture, as they stand there, and the little that is changed to play them on one machine.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';

const page = path.join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'capture.md');

export interface Container {
  readonly name: string;
  image: string;
  imagePullPolicy?: string;
  command?: readonly string[];
  args?: readonly string[];
  env?: { readonly name: string; readonly value: string }[];
  ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  securityContext?: {
    readonly runAsUser?: number;
    readonly runAsGroup?: number;
    readonly runAsNonRoot?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  };
}

export interface Pod {
  readonly kind: 'Pod';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    restartPolicy?: string;
    hostAliases?: readonly { readonly ip: string; readonly hostnames: readonly string[] }[];
  };
}

export interface Service {
  readonly kind: 'Service';
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly selector: Readonly<Record<string, string>>;
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: number | string }[];
  };
}

export interface Manifest {
  readonly pod: Pod;
  readonly service: Service;
}

/** The pod and its Service under a heading of the page; `name` stands wherever the page says `orders`. */
export function manifestUnder(heading: string, name?: string): Manifest {
  const text = readFileSync(page, 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  const blocks = [...(section ?? '').matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = '']) => yaml);
  assert.equal(blocks.length, 1, `one YAML block under "${heading}"`);
  const documents = parseAllDocuments(name === undefined ? blocks[0]! : blocks[0]!.replaceAll('orders', name));
  for (const document of documents) assert.deepEqual(document.errors, [], heading);
  const [pod, service] = documents.map((document) => document.toJS()) as [Pod, Service];
  assert.deepEqual([pod.kind, service.kind], ['Pod', 'Service'], heading);
  return { pod, service };
}

export interface Place {
  /** The image of every container. */
  readonly image: string;
  /** What the application's container runs, for its image is nobody's. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Stands for the cluster's DNS. */
  readonly names: Readonly<Record<string, string>>;
}

/** The pod with local images, an application and names put in; nothing else of it changes. */
export function settle(original: Pod, place: Place): Pod {
  const pod = structuredClone(original);
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    const isApplication = container.image !== 'tracecar';
    container.image = place.image;
    container.imagePullPolicy = 'Never';
    // Podman takes a port for one to publish on this machine.
    container.ports = [];
    if (!isApplication) continue;
    container.command = place.command;
    // The image's own user is the sidecar's, which no application may be.
    container.securityContext = { ...container.securityContext, runAsUser: 1000, runAsGroup: 1000 };
    const own = Object.entries(place.environment).map(([name, value]) => ({ name, value }));
    container.env = [...(container.env ?? []), ...own];
  }
  // Podman restarts init containers as well, and would never come to an end of them.
  pod.spec.restartPolicy = 'Never';
  pod.spec.hostAliases = Object.entries(place.names).map(([name, ip]) => ({ ip, hostnames: [name] }));
  return pod;
}

/** The port numbers of a Service and where each leads in a pod: a named target port is looked up in that pod. */
export function resolvePorts(service: Service, pod: Pod): Map<number, number> {
  const { selector, ports } = service.spec;
  for (const [key, value] of Object.entries(selector)) assert.equal(pod.metadata.labels[key], value);
  const ofPod = pod.spec.containers.flatMap((container) => container.ports ?? []);
  return new Map(
    ports.map(({ port, targetPort }) => {
      if (typeof targetPort === 'number') return [port, targetPort];
      const named = ofPod.find(({ name }) => name === targetPort);
      assert.ok(named, `no container has a port ${targetPort}`);
      return [port, named.containerPort];
    }),
  );
}
