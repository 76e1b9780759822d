// The `sidecar` command: flags from the option table, the sidecar's life bound to the process's.
import { Command, Option } from 'commander';
import { formatAddress } from '../runtime/address.ts';
import { createLog } from '../runtime/log.ts';
import { drainOnSignal } from '../runtime/shutdown.ts';
import { supervise } from '../runtime/supervisor/supervise.ts';
import { joinSupervisor, unsupervised } from '../runtime/supervisor/worker.ts';
import { listenAddresses, onDescriptors } from '../sidecar/listen-addresses.ts';
import { loadConfig } from '../sidecar/load-config.ts';
import { startSidecar } from '../sidecar/main.ts';
import { type FlagValues, options } from '../sidecar/options.ts';

/** Defines `tracecar sidecar`. */
export function define(): Command {
  const command = new Command().description('The proxy beside one workload.');
  command.option(
    '--config <FILE>',
    'YAML with the long flag names as keys; flags beat environment, environment beats file',
  );
  for (const [name, option] of Object.entries(options)) {
    const notes = [option.environment && `env ${option.environment}`, option.fallback && `default ${option.fallback}`];
    const shown = notes.filter(Boolean).join(', ');
    const form = option.argument === '' ? `--${name}` : `--${name} <${option.argument}>`;
    const flag = new Option(form, shown ? `${option.meaning} (${shown})` : option.meaning);
    if (option.repeat) flag.argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), value]);
    command.addOption(flag);
  }
  command.option('--log-level <LEVEL>', 'trace, debug, info, warn, error (env LOG_LEVEL, default info)');
  return command.action(run);
}

async function run(parsed: Readonly<Record<string, string | string[] | true | undefined>>): Promise<void> {
  const flags: FlagValues = Object.fromEntries(
    Object.entries(parsed).map(([key, value]) => [
      key.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`),
      value === true ? 'true' : value,
    ]),
  );
  const level = parsed.logLevel;
  const log = createLog('sidecar', typeof level === 'string' ? level : undefined);
  const loaded = loadConfig(flags, process.env);
  const joined = joinSupervisor(process.env);
  if (joined === undefined) {
    const reason = await supervise(listenAddresses(loaded.config), loaded.config.workers);
    log.info({ reason }, 'runs without a supervisor, in one process');
  }
  const worker = joined ?? unsupervised;
  if (worker.predecessorEnded !== '') log.warn(`worker ended (${worker.predecessorEnded}); started again`);
  const config = joined === undefined ? { ...loaded.config, workers: 1 } : onDescriptors(loaded.config, joined.sockets);
  const sidecar = await startSidecar({ ...loaded, config }, log, worker);
  drainOnSignal(log, () => sidecar.drain());
  log.info(
    {
      inbound: sidecar.inbound.map(String),
      outbound: sidecar.outbound.map(String),
      ...(sidecar.outboundProxy && { outbound_proxy: String(sidecar.outboundProxy) }),
      admin: formatAddress(sidecar.admin),
      pid: process.pid,
    },
    'listening',
  );
}
