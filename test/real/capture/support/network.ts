// A small cluster of namespaces: pods behind a router that knows services, as kube-proxy does, and a collector.
import { once } from 'node:events';
import path from 'node:path';
import { eventually } from '../../../support/eventually.ts';
import {
  addAddress,
  connectNamespaces,
  createNamespace,
  type Lifetime,
  type Namespace,
  setParameters,
  spawnInside,
} from '../../../support/network-namespace.ts';
import { decodeSpans, type SinkSpan } from '../../../support/otlp-sink.ts';
import { root } from '../../../support/programs.ts';
import type { Actions } from '../programs/peer.ts';

/** A program inside a namespace that does what it is asked to. */
export interface Peer {
  ask<Name extends keyof Actions>(
    action: Name,
    ...argument: Parameters<Actions[Name]>
  ): Promise<Awaited<ReturnType<Actions[Name]>>>;
}

export interface Pod extends Peer {
  readonly name: string;
  readonly namespace: Namespace;
  readonly v4: string;
  readonly v6: string;
}

export interface Network {
  readonly router: Namespace;
  /** What sidecars are told with --otlp-endpoint. */
  readonly collectorUrl: string;
  readonly spans: readonly SinkSpan[];
  /** Resolves once at least `count` spans (that satisfy `which`) have come. */
  received(count: number, which?: (span: SinkSpan) => boolean): Promise<SinkSpan[]>;
  /** A pod with an address of each family. */
  addPod(name: string): Promise<Pod>;
  /** Gives a pod's port a service address of each family, on port 80; resolves with these. */
  addService(pod: Pod, port: number): Promise<{ readonly v4: string; readonly v6: string }>;
}

const collectorAddress = '10.96.255.1';
const collectorPort = 4318;

/** Makes the router with the collector on it; all goes with `lifetime`. */
export async function createNetwork(lifetime: Lifetime): Promise<Network> {
  const router = await createNamespace(lifetime, 'router');
  await setParameters(router, 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  await addAddress(router, 'lo', `${collectorAddress}/32`);
  const spans: SinkSpan[] = [];
  const collector = await startPeer(lifetime, router, (body) => spans.push(...decodeSpans(body)));
  await collector.ask('collect', { port: collectorPort });
  let pods = 0;
  let services = 0;
  return {
    router,
    collectorUrl: `http://${collectorAddress}:${collectorPort}`,
    spans,
    received: (count, which = () => true) =>
      eventually(
        () => `${count} spans; there are ${spans.filter(which).map(describe).join('; ') || 'none'}`,
        () => {
          const found = spans.filter(which);
          return found.length >= count && found;
        },
      ),
    addPod: async (name) => await addPod(lifetime, router, name, ++pods),
    addService: async (pod, port) => await addService(router, pod, port, ++services),
  };
}

async function addPod(lifetime: Lifetime, router: Namespace, name: string, number: number): Promise<Pod> {
  const namespace = await createNamespace(lifetime, name);
  const [net4, net6] = [`10.244.${number}`, `fd00:244:${number}:`];
  await connectNamespaces(
    { namespace: router, device: `pod${number}`, addresses: [`${net4}.1/24`, `${net6}:1/64`] },
    { namespace, device: 'eth0', addresses: [`${net4}.2/24`, `${net6}:2/64`] },
  );
  await namespace.run('ip', 'route', 'add', 'default', 'via', `${net4}.1`);
  await namespace.run('ip', '-6', 'route', 'add', 'default', 'via', `${net6}:1`);
  const peer = await startPeer(lifetime, namespace);
  return { name, namespace, v4: `${net4}.2`, v6: `${net6}:2`, ask: peer.ask };
}

/** The two rules of kube-proxy that matter: the way to the pod, and the mask for a pod that reaches itself. */
async function addService(router: Namespace, pod: Pod, port: number, number: number) {
  const families = [
    { iptables: 'iptables', service: `10.96.0.${number}`, address: pod.v4, destination: `${pod.v4}:${port}` },
    { iptables: 'ip6tables', service: `fd00:96::${number}`, address: pod.v6, destination: `[${pod.v6}]:${port}` },
  ] as const;
  for (const { iptables, service, address, destination } of families) {
    const to = ['-p', 'tcp', '-d', service, '--dport', '80', '-j', 'DNAT', '--to-destination', destination];
    await router.run(iptables, '-t', 'nat', '-A', 'PREROUTING', ...to);
    await router.run(iptables, '-t', 'nat', '-A', 'POSTROUTING', '-s', address, '-d', address, '-j', 'MASQUERADE');
  }
  return { v4: families[0].service, v6: families[1].service };
}

interface Told {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly spans?: string;
}

const program = [process.execPath, '--import', 'tsx', path.join(import.meta.dirname, '..', 'programs', 'peer.ts')];

async function startPeer(
  lifetime: Lifetime,
  namespace: Namespace,
  onSpans: (body: Buffer) => void = () => {},
): Promise<Peer> {
  const child = spawnInside(lifetime, namespace, program, { cwd: root, channel: true });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  const ready = once(child, 'message');
  child.on('message', ({ id = 0, result, error, spans }: Told) => {
    if (spans !== undefined) onSpans(Buffer.from(spans, 'base64'));
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(result);
    else asked?.reject(new Error(`in ${namespace.name}: ${error}`));
  });
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${namespace.name}: it ended (${signal ?? code})`));
  });
  await ready;
  let asked = 0;
  return {
    ask: (action, ...[argument]) =>
      new Promise((resolve, reject) => {
        asked += 1;
        waiting.set(asked, { resolve: resolve as (value: unknown) => void, reject });
        child.send({ id: asked, action, argument });
      }),
  };
}

/** A span in a line, for the message of a test that fails. */
export function describe(span: SinkSpan): string {
  const { service, kind, name, traceId, spanId, parentSpanId } = span;
  return `${service} ${kind} ${name} ${traceId.slice(0, 6)}/${spanId.slice(0, 6)} < ${parentSpanId.slice(0, 6) || '-'}`;
}
