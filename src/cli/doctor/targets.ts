// Where the doctor looks when it is not told: the documented ports, and what the sidecar itself says of its listeners.
import { observeSidecar } from './observation.ts';

export interface Flags {
  readonly sidecar: readonly string[];
  readonly collector: string;
  readonly via?: string;
  readonly viewer: string;
  readonly jaeger: readonly string[];
  readonly zipkin: readonly string[];
  readonly timeout: string;
}

export interface Targets {
  /** Admin addresses, the one whose listener takes the request first. */
  readonly sidecars: readonly string[];
  readonly collector: string;
  /** The URL to ask; undefined when no sidecar could tell a listener. */
  readonly via: string | undefined;
  /** Base URLs of query APIs by what they are. */
  readonly readers: readonly { readonly kind: 'store' | 'jaeger' | 'zipkin'; readonly url: string }[];
}

export const defaultAdmin = '127.0.0.1:15000';
export const defaultCollector = '127.0.0.1:8888';
export const defaultViewer = '127.0.0.1:16686';

/** Fills in what the flags leave open. */
export async function findTargets(flags: Flags): Promise<Targets> {
  const sidecars = flags.sidecar.length > 0 ? flags.sidecar : [defaultAdmin];
  return {
    sidecars,
    collector: flags.collector,
    via: flags.via ?? (await findListener(sidecars)),
    readers: [
      { kind: 'store', url: `http://${flags.viewer}` },
      ...flags.jaeger.map((url) => ({ kind: 'jaeger' as const, url })),
      ...flags.zipkin.map((url) => ({ kind: 'zipkin' as const, url })),
    ],
  };
}

async function findListener(sidecars: readonly string[]): Promise<string | undefined> {
  for (const admin of sidecars) {
    const { inbound, outbound } = await observeSidecar(admin);
    // A port of the kernel's choice shows as 0 where only the settings are told.
    const listen = [...inbound, ...outbound].map((pair) => pair.split('=')[0] ?? '').find((at) => !at.endsWith(':0'));
    if (listen !== undefined) return `http://${listen.replace(/^0\.0\.0\.0:|^\[::\]:/, '127.0.0.1:')}/`;
  }
  return undefined;
}
