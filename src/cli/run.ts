// The `run` command: a sidecar in this process around a command, which finds it by the proxy variables.
import { createServer } from 'node:net';
import path from 'node:path';
import { Command } from 'commander';
import { type Address, formatAddress, parseAddress } from '../runtime/address.ts';
import { close, listen } from '../runtime/listen.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { UsageError } from '../runtime/usage-error.ts';
import { type LoadedConfig, loadConfig } from '../sidecar/load-config.ts';
import { type Sidecar, startSidecar } from '../sidecar/main.ts';
import { type ChildEnd, runChild } from './run/child.ts';
import { proxiedEnvironment } from './run/environment.ts';
import { addSidecarFlags, collect, type ParsedFlags, toFlagValues } from './sidecar-flags.ts';

/** Defines `tracecar run`. */
export function define(): Command {
  const command = new Command()
    .description(
      'Starts CMD with a sidecar around it: its calls by HTTP_PROXY, what calls it by --port. Ends as CMD ends.',
    )
    .usage('[flags] -- CMD...')
    .argument('<CMD...>', 'the command and its arguments')
    .option(
      '--port <[LISTEN=]PORT>',
      "an inbound listener in front of CMD's own port; LISTEN is 15006, or any free port when that is taken",
      collect,
    )
    .option(
      '--netns',
      'as root: CMD in a network namespace of its own, all of its TCP captured, instead of by HTTP_PROXY (Linux)',
    )
    .option('--user <NAME|UID>', 'with --netns: whom CMD runs as (by sudo: who called it, else the same user)');
  return addSidecarFlags(command, 'warn').passThroughOptions().action(run);
}

const firstInbound: Address = { host: '127.0.0.1', port: 15006 };

async function run(command: readonly string[], parsed: ParsedFlags): Promise<void> {
  const { port: ports, netns, user, ...sidecarFlags } = parsed;
  if (user !== undefined && netns === undefined) throw new UsageError('--user: only with --netns');
  const flags = toFlagValues(sidecarFlags);
  const pairs = await inboundPairs(Array.isArray(ports) ? ports : []);
  const given = flags.inbound ?? [];
  const level = String(flags['log-level'] ?? (process.env.LOG_LEVEL || 'warn'));
  const withPairs = { ...flags, ...(pairs.length > 0 && { inbound: [...given, ...pairs] }) };
  const defaults = { admin: '127.0.0.1:0', 'drain-quiet': '0', service: path.basename(command[0] ?? '') };
  if (netns !== undefined) {
    const { runInNamespace } = await import('./run/netns/run-in-namespace.ts');
    const movable = Array.isArray(ports) && ports.some((text) => !text.includes('=')) ? firstInbound : undefined;
    const chosen = typeof user === 'string' ? user : undefined;
    return runInNamespace(command, { flags: withPairs, defaults, movable, user: chosen, level });
  }
  const log = createLog('run', level);
  const loaded = loadConfig(withPairs, process.env, { ...defaults, 'outbound-proxy': '127.0.0.1:0' });
  if (loaded.config.workers > 1) log.warn('--concurrency: run is one process');
  const sidecar = await startSidecar(loaded, log);
  announce(sidecar, loaded, log, level);
  const { exitCode, failure } = await runInside(sidecar, loaded, command);
  // From here on nobody has a reason to wait but for the spans: a signal ends that.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(exitCode));
  await sidecar.drain();
  if (failure !== '') process.stderr.write(`tracecar: ${failure}\n`);
  process.exit(exitCode);
}

function runInside(sidecar: Sidecar, { config }: LoadedConfig, command: readonly string[]): Promise<ChildEnd> {
  const { tracesEndpoint, endpoint } = config.exporter;
  const { host, port } = sidecar.outboundProxy!.bound;
  // Listening on every address is no address to connect to.
  const reachable = { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port };
  const environment = proxiedEnvironment(process.env, reachable, tracesEndpoint || endpoint);
  return runChild(command, environment, sidecar.quitRequested);
}

/** `LISTEN=TARGET` of each `[LISTEN=]PORT`. */
async function inboundPairs(ports: readonly string[]): Promise<string[]> {
  let first: Address | undefined = firstInbound;
  const pairs: string[] = [];
  for (const text of ports) {
    const equals = text.indexOf('=');
    const target = parseAddress(text.slice(equals + 1), '--port');
    if (target.port === 0) throw new UsageError(`--port: "${text}": CMD's port cannot be 0`);
    let address: Address;
    if (equals >= 0) address = parseAddress(text.slice(0, equals), '--port');
    else {
      address = first !== undefined && (await isFree(first)) ? first : { host: '127.0.0.1', port: 0 };
      first = undefined;
    }
    pairs.push(`${formatAddress(address)}=${formatAddress(target)}`);
  }
  return pairs;
}

async function isFree(address: Address): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, address, '--port');
  } catch {
    return false;
  }
  await close(server);
  return true;
}

/** One line for whoever sits at the terminal, and the usual one in the log. */
function announce(sidecar: Sidecar, { config }: LoadedConfig, log: Log, level: string): void {
  const { exporter, service } = config;
  const inbound = sidecar.inbound.map(String);
  const outboundProxy = String(sidecar.outboundProxy);
  const admin = formatAddress(sidecar.admin);
  log.info({ inbound, outbound: sidecar.outbound.map(String), outbound_proxy: outboundProxy, admin }, 'listening');
  if (level === 'silent') return;
  const parts = [
    `spans of ${service} go to ${new URL(exporter.tracesEndpoint || exporter.endpoint).origin} (${exporter.protocol})`,
    ...inbound.map((pair) => `inbound ${pair.replace('=', ' to ')}`),
    `outbound by HTTP_PROXY=http://${outboundProxy}`,
    `admin http://${admin}`,
  ];
  process.stderr.write(`tracecar: ${parts.join('; ')}\n`);
}
