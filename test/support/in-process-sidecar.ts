// One inbound listener of the sidecar inside the test's own process: sockets are real, spans go to what the test gives.
import type { TestContext } from 'node:test';
import type { Exporter } from '../../src/sidecar/export/exporter.ts';
import { Listener } from '../../src/sidecar/listener.ts';
import type { OpenConnection } from '../../src/sidecar/open-connection.ts';
import type { SidecarStats } from '../../src/sidecar/stats.ts';
import { Tracer } from '../../src/sidecar/tracer.ts';
import { createTracer } from '../sidecar/observed.ts';

/** What the tracer calls of an exporter; spans are counted and forgotten. */
export class CountingExporter {
  spans = 0;

  add(): void {
    this.spans++;
  }

  addRecord(): void {
    this.spans++;
  }

  refuse(): void {}
}

export interface InProcessSidecar {
  readonly port: number;
  readonly open: ReadonlySet<OpenConnection>;
  readonly exporter: CountingExporter;
  readonly stats: SidecarStats;
}

/** Listens on 127.0.0.1 in front of a port there; ends with the test, its connections too. */
export async function startInProcessSidecar(
  t: TestContext,
  targetPort: number,
  onFault: (error: unknown) => void,
): Promise<InProcessSidecar> {
  const { config, stats, forwarding } = createTracer();
  const exporter = new CountingExporter();
  const tracer = new Tracer(config, exporter as unknown as Exporter, stats, forwarding);
  const open = new Set<OpenConnection>();
  const pair = { listen: { host: '127.0.0.1', port: 0 }, target: { host: '127.0.0.1', port: targetPort } };
  const listener = await Listener.open('inbound', pair, config, tracer, open, onFault);
  t.after(() => {
    for (const connection of open) connection.destroy();
    return listener.close();
  });
  return { port: listener.bound.port, open, exporter, stats };
}
