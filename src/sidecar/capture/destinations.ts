// The original destination of each captured connection: asked of the kernel once, and looked up by its bytes.
import type { Socket } from 'node:net';
import { descriptorOf } from '../../runtime/socket/descriptor.ts';
import { addressKey, bytesV6, decodeAddress } from '../../runtime/socket/socket-address.ts';
import { type SocketCalls, socketOptions } from '../../runtime/socket/socket-calls.ts';
import { Destination, type DestinationFacts } from './destination.ts';
import type { LocalAddresses } from './local-addresses.ts';
import { isProbe } from './probe-targets.ts';

/** What is to be done with a connection; `gone` is one that its client has reset already. */
export type Verdict = Destination | 'probe' | 'loop' | 'gone';

export interface DestinationsContext extends Omit<DestinationFacts, 'target'> {
  readonly calls: SocketCalls;
  readonly local: LocalAddresses;
  /** Ports on which the sidecar takes connections to pass them on. */
  readonly ownPorts: ReadonlySet<number>;
  /** Connections may come untouched, with their destination as their local address. */
  readonly transparent: boolean;
}

export const maxDestinations = 4096;

export class Destinations {
  readonly #context: DestinationsContext;
  readonly #known = new Map<string, Destination>();
  readonly #bytes = Buffer.alloc(bytesV6);
  /** Of the listener: what comes to this very port has not come untouched. */
  capturePort = 0;

  constructor(context: DestinationsContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#known.size;
  }

  /** What a connection is, by its original destination; one that has none was not captured: it is meant for us. */
  of(client: Socket): Verdict {
    // It tells the family, and is not to be had any more after a reset.
    const peer = client.remoteAddress;
    if (peer === undefined) return 'gone';
    if (!this.#ask(client, peer)) return 'loop';
    const key = addressKey(this.#bytes);
    return this.#known.get(key) ?? this.#judge(key);
  }

  #ask(client: Socket, peer: string): boolean {
    const { calls, transparent } = this.#context;
    const descriptor = descriptorOf(client);
    if (descriptor === undefined) return false;
    if (transparent && client.localPort !== this.capturePort) return calls.localAddress(descriptor, this.#bytes) === 0;
    const isV6 = peer.includes(':') && !peer.startsWith('::ffff:');
    const option = isV6 ? socketOptions.originalDestinationV6 : socketOptions.originalDestinationV4;
    return calls.readAddress(descriptor, option, this.#bytes) === 0;
  }

  #judge(key: string): Verdict {
    const { local, ownPorts } = this.#context;
    const { host, port, scope } = decodeAddress(this.#bytes);
    if (isProbe(host, port)) return 'probe';
    // Not kept: what addresses are local may change.
    if (ownPorts.has(port) && local.has(host)) return 'loop';
    const destination = new Destination({ ...this.#context, target: { host: host + local.zone(scope), port } });
    if (this.#known.size >= maxDestinations) this.#known.delete(this.#known.keys().next().value ?? '');
    this.#known.set(key, destination);
    return destination;
  }
}
