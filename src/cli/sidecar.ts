// The `sidecar` command: flags from the option table, the sidecar's life bound to the process's.
import { Command } from 'commander';
import { formatAddress } from '../runtime/address.ts';
import { createLog } from '../runtime/log.ts';
import { drainOnSignal } from '../runtime/shutdown.ts';
import { supervise } from '../runtime/supervisor/supervise.ts';
import { joinSupervisor, unsupervised } from '../runtime/supervisor/worker.ts';
import { listenAddresses, onDescriptors } from '../sidecar/listen-addresses.ts';
import { loadConfig } from '../sidecar/load-config.ts';
import { startSidecar } from '../sidecar/main.ts';
import { addSidecarFlags, type ParsedFlags, toFlagValues } from './sidecar-flags.ts';

/** Defines `tracecar sidecar`. */
export function define(): Command {
  return addSidecarFlags(new Command().description('The proxy beside one workload.'), 'info').action(run);
}

async function run(parsed: ParsedFlags): Promise<void> {
  const level = parsed.logLevel;
  const log = createLog('sidecar', typeof level === 'string' ? level : undefined);
  const loaded = loadConfig(toFlagValues(parsed), process.env);
  const joined = joinSupervisor(process.env);
  if (joined === undefined) {
    const reason = await supervise(listenAddresses(loaded.config), loaded.config.workers);
    // Who asked for several workers gets less than that.
    const severity = loaded.config.workers > 1 ? 'warn' : 'info';
    log[severity]({ reason }, 'runs without a supervisor, in one process');
  }
  const worker = joined ?? unsupervised;
  if (worker.predecessorEnded !== '') log.warn(`worker ended (${worker.predecessorEnded}); started again`);
  const config = joined === undefined ? loaded.config : onDescriptors(loaded.config, joined.sockets);
  const sidecar = await startSidecar({ ...loaded, config }, log, worker);
  const stop = drainOnSignal(log, () => sidecar.drain());
  void sidecar.quitRequested.then(stop);
  log.info(
    {
      inbound: sidecar.inbound.map(String),
      outbound: sidecar.outbound.map(String),
      ...(sidecar.outboundProxy && { outbound_proxy: String(sidecar.outboundProxy) }),
      ...(sidecar.captured && { captured: sidecar.captured }),
      admin: formatAddress(sidecar.admin),
      pid: process.pid,
    },
    'listening',
  );
}
