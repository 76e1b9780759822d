// `run --netns`: a command in a network namespace of its own, the sidecar beside it, and the ways between it and the machine.
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  apply as applyCaptureRules,
  defaultFlags,
  type IptablesFlags,
  parseIptablesConfig,
} from '../../../iptables/main.ts';
import { type Address, formatAddress } from '../../../runtime/address.ts';
import { createLog, type Log } from '../../../runtime/log.ts';
import { errorMessage, UsageError } from '../../../runtime/usage-error.ts';
import { type LoadedConfig, loadConfig } from '../../../sidecar/load-config.ts';
import type { FlagValues } from '../../../sidecar/options.ts';
import { type ChildEnd, runChild } from '../child.ts';
import { requireCapture } from './capture-probe.ts';
import { CapturedSidecar } from './captured-sidecar.ts';
import { becoming, chooseIdentity, type Identity, variablesOf } from './identity.ts';
import { makeNamespace, type Namespace } from './keeper.ts';
import { NamespaceSockets } from './namespace-sockets.ts';
import { Passages } from './passages.ts';
import { findProgram, hasV6, requireNamespaces, systemProgram } from './requirements.ts';

export interface NamespaceOptions {
  /** Of the sidecar, by long name. */
  readonly flags: FlagValues;
  readonly defaults: FlagValues;
  /** An address of an inbound pair that nobody has asked for: when it is taken, another port is as good. */
  readonly movable: Address | undefined;
  /** Whom the command runs as, as the operator says it. */
  readonly user: string | undefined;
  readonly level: string;
}

const startTimeoutMs = 20_000;
const leftoversMs = 2_000;
/** What a sidecar takes to flush, beyond its drain time-out. */
const flushMs = 10_000;

/**
 * Runs a command to its end; this process then ends with its exit code.
 * @throws UsageError when it cannot be started; nothing is left of the namespace then
 */
export async function runInNamespace(command: readonly string[], options: NamespaceOptions): Promise<void> {
  const log = createLog('run', options.level);
  const { flags, defaults } = options;
  const capture = flags.capture ?? 'redirect';
  if (capture !== 'redirect') throw new UsageError(`--netns: captures by redirect, not by --capture ${capture}`);
  const loaded = loadConfig({ ...flags, capture }, process.env, defaults);
  const rules = loaded.config.capture?.iptables;
  if (rules === 'istio') throw new UsageError('--netns: has rules of its own; --iptables istio is for a pod');
  requireNamespaces();
  const identity = chooseIdentity(options.user, process.env);
  const end = notStartable(command[0] ?? '') ?? (await runStartable(command, options, loaded, identity, log));
  if (end.failure !== '') process.stderr.write(`tracecar: ${end.failure}\n`);
  process.exit(end.exitCode);
}

/** How a command ends that is not there. */
function notStartable(file: string): ChildEnd | undefined {
  const found = findProgram(file, process.env.PATH ?? '');
  if (!('failure' in found)) return undefined;
  if (found.failure === 'absent') return { exitCode: 127, failure: `${file}: command not found` };
  return { exitCode: 126, failure: `${file}: not executable` };
}

async function runStartable(
  command: readonly string[],
  options: NamespaceOptions,
  loaded: LoadedConfig,
  identity: Identity | undefined,
  log: Log,
): Promise<ChildEnd> {
  const passages = new Passages();
  const { config } = loaded;
  let namespace: Namespace | undefined;
  let sockets: NamespaceSockets | undefined;
  let sidecar: CapturedSidecar | undefined;
  const takeDown = async () => {
    sidecar?.kill();
    passages.close();
    sockets?.close();
    const left = (await namespace?.remove()) ?? [];
    if (left.length > 0) log.error({ left }, 'could not be taken down');
  };
  try {
    // What may be taken by somebody else is asked for before anything is made.
    await passages.listenOnMachine(config, options.movable);
    const withV6 = hasV6();
    if (!withV6) log.warn('no IPv6 in the namespace: it is switched off on this machine, or there is no ip6tables');
    namespace = await makeNamespace(withV6, (limit) => randomInt(limit));
    sockets = new NamespaceSockets(namespace.file);
    await passages.listenInside(sockets, config.exporter, withV6);
    const enter = passages.enter(namespace);
    sidecar = new CapturedSidecar(enter, identity, sidecarFlags(options, loaded, passages), log);
    applyRules(namespace.enter, config);
    await requireCapture(sockets, sidecar, withV6, startTimeoutMs);
    announce(namespace, loaded, passages, log, options.level);
    const environment = { ...process.env, ...variablesOf(identity) };
    const end = await runChild([...enter, ...becoming(identity), ...command], environment, sidecar.quitRequested);
    // From here on nobody has a reason to wait but for the spans: a signal ends that, and what keeps the namespace cleans up.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(end.exitCode));
    await endLeftovers(namespace, sidecar.session);
    await sidecar.stop(config.drainTimeoutMs + flushMs);
    return end;
  } finally {
    await takeDown();
  }
}

/** The flags of the sidecar's own process: the operator's, but where it listens, and with what `run` has as defaults. */
function sidecarFlags(
  { flags, defaults, level }: NamespaceOptions,
  loaded: LoadedConfig,
  passages: Passages,
): FlagValues {
  const own = Object.entries(defaults).filter(([name]) => (loaded.origins.get(name) ?? 'default') === 'default');
  return { ...flags, ...Object.fromEntries(own), 'log-level': level, capture: 'redirect', ...passages.sidecarFlags };
}

/** @throws UsageError with what is missing or in the way */
function applyRules(enter: readonly string[], { capture }: LoadedConfig['config']): void {
  const [inbound, outbound] = [capture?.inbound, capture?.outbound[0]];
  const flags: IptablesFlags = {
    ...defaultFlags,
    istioLocalExcludePorts: '',
    ...(inbound && { inboundCapturePort: String(inbound.port) }),
    ...(outbound && { envoyPort: String(outbound.port) }),
  };
  try {
    applyCaptureRules(parseIptablesConfig(flags, {}), enter);
  } catch (error) {
    throw new UsageError(`--netns: ${errorMessage(error)}`);
  }
}

/** One line for whoever sits at the terminal, and the usual one in the log. */
function announce(
  { name, v4, v6 }: Namespace,
  { config }: LoadedConfig,
  passages: Passages,
  log: Log,
  level: string,
): void {
  const { exporter, service } = config;
  const admin = formatAddress(passages.admin);
  const addresses = [v4.inside, ...(v6 === undefined ? [] : [v6.inside])];
  log.info({ namespace: name, addresses, inbound: passages.inbound, admin, pid: process.pid }, 'listening');
  if (level === 'silent') return;
  const parts = [
    `spans of ${service} go to ${new URL(exporter.tracesEndpoint || exporter.endpoint).origin} (${exporter.protocol})`,
    ...passages.inbound.map((pair) => `inbound ${pair.replace('=', ' to ')}`),
    `all of its TCP is captured in the namespace ${name} (${addresses.join(', ')})`,
    `admin http://${admin}`,
  ];
  process.stderr.write(`tracecar: ${parts.join('; ')}\n`);
}

/** Ends what the command has left behind: the sidecar would wait for its connections. */
async function endLeftovers({ name }: Namespace, sidecarSession: number): Promise<void> {
  const deadline = performance.now() + leftoversMs;
  let signal: NodeJS.Signals | 0 = 'SIGTERM';
  for (;;) {
    const left = processesIn(name).filter((pid) => sessionOf(pid) !== sidecarSession);
    if (left.length === 0) return;
    const isLate = performance.now() > deadline;
    for (const pid of left) send(pid, isLate ? 'SIGKILL' : signal);
    if (isLate) return;
    signal = 0;
    await sleep(50);
  }
}

function processesIn(namespace: string): readonly number[] {
  try {
    const text = execFileSync(systemProgram('ip'), ['netns', 'pids', namespace], { encoding: 'utf8' });
    return text.split('\n').filter(Boolean).map(Number);
  } catch (error) {
    throw new Error(`ip netns pids: ${errorMessage(error)}`);
  }
}

/** The session of a process (proc(5), field 6 of stat); undefined when it has ended. */
function sessionOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
  } catch {
    return undefined;
  }
}

function send(pid: number, signal: NodeJS.Signals | 0): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}
