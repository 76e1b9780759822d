// Everything that `--capture` adds to a sidecar: its listeners, and what is known of the rules that bring connections to them.
import { familyV4 } from '../../runtime/socket/socket-address.ts';
import { loadSocketCalls, type SocketCalls, socketOptions } from '../../runtime/socket/socket-calls.ts';
import { errorMessage, UsageError } from '../../runtime/usage-error.ts';
import type { CaptureConfig, Direction, SidecarConfig } from '../config.ts';
import type { Connections } from '../open-connection.ts';
import type { Tracer } from '../tracer.ts';
import { inboundWhat, outboundWhat } from './addresses.ts';
import { CaptureListener, needsNetAdmin } from './capture-listener.ts';
import { CaptureStatus } from './capture-status.ts';
import { LocalAddresses } from './local-addresses.ts';
import { ClientSources, PassthroughSources, type SourceSockets, tproxyMark } from './source-sockets.ts';

/** Whom the rules leave alone, by their defaults. */
const proxyUid = 1337;

export interface CaptureContext {
  readonly config: Pick<SidecarConfig, 'connectTimeoutMs' | 'maxConnections'>;
  readonly tracer: Tracer;
  readonly connections: Connections;
  readonly createFaultLog: () => (error: unknown) => void;
  /** Ports on which the sidecar takes connections to pass them on; those of capture are added. */
  readonly ownPorts: Set<number>;
}

/**
 * Opens the listeners of capture, inbound's first.
 * @param opened takes each listener as soon as it is open
 * @returns what shows whether the rules are in force
 * @throws UsageError when this is no Linux, koffi is not there, a right is missing or a port is taken
 */
export async function openCapture(
  capture: CaptureConfig,
  context: CaptureContext,
  opened: (listener: CaptureListener) => void,
): Promise<CaptureStatus> {
  const calls = socketCalls(capture.mode);
  const transparent = capture.mode === 'tproxy';
  if (transparent) {
    checkUser(capture);
    checkRights(calls);
  }
  const { connectTimeoutMs, maxConnections } = context.config;
  const status = new CaptureStatus(capture);
  const shared = {
    calls,
    connectTimeoutMs,
    maxConnections,
    local: new LocalAddresses(),
    ownPorts: context.ownPorts,
    onOwn: () => status.onOwnCaptured(),
  };
  const inbound = {
    ...shared,
    direction: 'inbound' as Direction,
    address: capture.inbound,
    what: inboundWhat(capture.inbound),
    transparent,
    sources: inboundSources(capture, calls),
  };
  const outbound = capture.outbound.map((address) => ({
    ...shared,
    direction: 'outbound' as Direction,
    address,
    what: outboundWhat(address),
    transparent: false,
    sources: undefined,
  }));
  const { tracer, connections, createFaultLog } = context;
  for (const options of [inbound, ...outbound]) {
    opened(await CaptureListener.open(options, tracer, connections, createFaultLog()));
  }
  return status;
}

function socketCalls(mode: string): SocketCalls {
  if (process.platform !== 'linux') {
    throw new UsageError(`--capture ${mode}: works by Linux's netfilter, and this is ${process.platform}`);
  }
  try {
    return loadSocketCalls();
  } catch (error) {
    const reason = errorMessage(error).split('\n', 1)[0];
    throw new UsageError(`--capture ${mode}: needs the package koffi, which cannot be loaded: ${reason}`);
  }
}

function inboundSources({ mode, iptables }: CaptureConfig, calls: SocketCalls): SourceSockets | undefined {
  if (mode === 'tproxy') return new ClientSources(calls);
  // R3: our own rules leave the sidecar's user alone, so the pod's own address will do.
  return iptables === 'istio' ? new PassthroughSources(calls) : undefined;
}

/**
 * Istio's chains lead what user 1337 sends to the pod's own address to the sidecar's inbound port, unless it comes from
 * 127.0.0.6. With the client's address it would go round.
 * @throws UsageError when this is that user
 */
export function checkUser({ iptables }: Pick<CaptureConfig, 'iptables'>, uid = process.getuid?.()): void {
  if (iptables !== 'istio' || uid !== proxyUid) return;
  throw new UsageError(
    `--capture tproxy: Istio's chains lead the inbound leg of uid ${proxyUid} back to the sidecar; run it as uid 0 gid ${proxyUid}, or take the rules of tracecar iptables`,
  );
}

/** Said at the start, not connection by connection. */
function checkRights(calls: SocketCalls): void {
  const descriptor = calls.open(familyV4);
  if (descriptor < 0) return;
  const refused =
    calls.setOption(descriptor, socketOptions.transparentV4, 1) !== 0 ||
    calls.setOption(descriptor, socketOptions.mark, tproxyMark) !== 0;
  calls.close(descriptor);
  if (refused) throw new UsageError(needsNetAdmin);
}
