// The `demo` command: four services that know nothing of tracing, a sidecar beside each, the collector, traffic.
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { Command } from 'commander';
import { parseAddress } from '../runtime/address.ts';
import { close, listen } from '../runtime/listen.ts';
import { errorCode, errorMessage, UsageError } from '../runtime/usage-error.ts';
import { ChildEnded, type ChildGroup } from './demo/children.ts';
import { runLive } from './demo/live.ts';
import { startMesh } from './demo/mesh.ts';
import { runOnce } from './demo/once.ts';

interface Flags {
  readonly port: string;
  readonly jaeger: readonly string[];
  readonly zipkin: readonly string[];
  readonly once?: true;
  readonly json?: true;
  readonly spans?: string;
}

const impatienceMs = 1_000;

export function define(): Command {
  return new Command()
    .description('A mesh of four services without any tracing, a sidecar each, the collector and the viewer.')
    .option('--port <port>', 'port of the viewer (0: any free one)', '16686')
    .option('--jaeger <url>', 'feed this Jaeger (OTLP) as well; repeat for more', collect, [])
    .option('--zipkin <url>', 'feed this Zipkin (…/api/v2/spans) as well; repeat for more', collect, [])
    .option('--once', 'send a fixed amount of traffic, check every trace, show one, exit')
    .option('--spans <file>', 'with --once: write the spans of the run to FILE as JSON')
    .option('--json', 'with --once: print the result as JSON, with the spans unless --spans takes them')
    .action(run);
}

// Which forms of a URL there are is the collector's to say: it gets them as they are.
function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

async function run(flags: Flags): Promise<void> {
  if (!flags.once && (flags.json || flags.spans !== undefined)) throw new UsageError('--json and --spans need --once');
  if (flags.spans !== undefined) requireWritable(flags.spans);
  const viewerPort = await reserveViewerPort(flags.port);
  const state = stopOnSignal();
  const exitCode = await serve(flags, viewerPort, state.onGroup).catch((error: unknown) => {
    if (state.stopping()) return undefined;
    if (!(error instanceof ChildEnded)) throw error;
    if (error.usage !== '') throw new UsageError(error.usage);
    throw error.portTaken ? new UsageError(`demo: ${error.message}`) : new Error(`demo: ${error.message}`);
  });
  // A signal ends the process when the children are gone; until then nothing more is to be done here.
  if (state.stopping()) return;
  process.exit(exitCode ?? 1);
}

async function serve(flags: Flags, viewerPort: number, onGroup: (group: ChildGroup) => void): Promise<number> {
  const mesh = await startMesh(
    { viewerPort, jaeger: flags.jaeger, zipkin: flags.zipkin, usualPorts: !flags.once },
    onGroup,
  );
  try {
    if (!flags.once) return await runLive(mesh);
    const options = { json: flags.json === true, ...(flags.spans === undefined ? {} : { spansFile: flags.spans }) };
    return await Promise.race([runOnce(mesh, options), mesh.group.failed]);
  } finally {
    await mesh.group.stop();
  }
}

function requireWritable(file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new UsageError(`--spans: cannot write ${file}: ${errorCode(error) ?? errorMessage(error)}`);
  }
}

// Asked before anything starts, so that a taken port is one line and nothing to clean up.
async function reserveViewerPort(text: string): Promise<number> {
  if (!/^\d+$/.test(text)) throw new UsageError(`--port: "${text}" is not a port`);
  const server = createServer();
  const { port } = await listen(server, parseAddress(text, '--port'), '--port');
  await close(server);
  return port;
}

function stopOnSignal(): { stopping(): boolean; onGroup(group: ChildGroup): void } {
  let group: ChildGroup | undefined;
  let stopping = false;
  let stoppingSinceMs = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stopping) {
        // Behind npm one Ctrl-C may come twice: from the terminal and from npm. A later one means impatience: the
        // children are killed as this process exits.
        if (Date.now() - stoppingSinceMs > impatienceMs) process.exit(1);
        return;
      }
      stopping = true;
      stoppingSinceMs = Date.now();
      const done = group === undefined ? Promise.resolve() : group.stop();
      done.finally(() => process.exit(0));
    });
  }
  return {
    stopping: () => stopping,
    onGroup(next) {
      group = next;
      if (stopping) next.stop();
    },
  };
}
