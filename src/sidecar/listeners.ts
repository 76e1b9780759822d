// All listeners of a sidecar: opened in the order of its configuration, closed together.
import type { Address } from '../runtime/address.ts';
import type { CaptureListener } from './capture/capture-listener.ts';
import type { CaptureStatus } from './capture/capture-status.ts';
import type { Direction, SidecarConfig } from './config.ts';
import type { BoundPairs } from './config-dump.ts';
import { ProxyListener } from './forward-proxy/proxy-listener.ts';
import { Listener } from './listener.ts';
import type { Connections } from './open-connection.ts';
import type { Tracer } from './tracer.ts';

export class Listeners {
  readonly #pairs: Listener[] = [];
  readonly #captured: CaptureListener[] = [];
  outboundProxy: ProxyListener | undefined;
  /** undefined without capture. */
  captureStatus: CaptureStatus | undefined;

  get inbound(): readonly Listener[] {
    return this.#of('inbound');
  }

  get outbound(): readonly Listener[] {
    return this.#of('outbound');
  }

  /** What is bound, as text. */
  get bound(): BoundPairs {
    return {
      inbound: this.inbound.map(String),
      outbound: this.outbound.map(String),
      outboundProxy: String(this.outboundProxy ?? ''),
      captured: this.captured,
      captureReport: this.captureStatus?.last,
    };
  }

  /** Where captured connections arrive, as text; undefined without capture. */
  get captured(): BoundPairs['captured'] {
    if (this.#captured.length === 0) return undefined;
    const of = (direction: Direction) =>
      this.#captured.filter((listener) => listener.direction === direction).map(String);
    return { inbound: of('inbound'), outbound: of('outbound') };
  }

  /** @throws UsageError when an address cannot be bound; what is open by then stays so */
  async open(
    config: SidecarConfig,
    tracer: Tracer,
    connections: Connections,
    createFaultLog: () => (error: unknown) => void,
  ): Promise<void> {
    for (const direction of ['inbound', 'outbound'] as const) {
      for (const pair of config[direction]) {
        this.#pairs.push(await Listener.open(direction, pair, config, tracer, connections, createFaultLog()));
      }
    }
    const proxy: Address | undefined = config.outboundProxy;
    if (proxy !== undefined) {
      this.outboundProxy = await ProxyListener.open(proxy, config, tracer, connections, createFaultLog());
    }
    if (config.capture !== undefined) {
      const { openCapture } = await import('./capture/capture.ts');
      const bound = [
        ...this.#pairs.map((pair) => pair.bound),
        ...(this.outboundProxy ? [this.outboundProxy.bound] : []),
      ];
      const ownPorts = new Set(bound.map(({ port }) => port));
      const context = { config, tracer, connections, createFaultLog, ownPorts };
      this.captureStatus = await openCapture(config.capture, context, (listener) => this.#captured.push(listener));
    }
  }

  /** Stops accepting. */
  close(): void {
    for (const listener of [...this.#pairs, ...this.#captured, this.outboundProxy]) void listener?.close();
  }

  #of(direction: Direction): Listener[] {
    return this.#pairs.filter((listener) => listener.direction === direction);
  }
}
