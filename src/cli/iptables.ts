// The `iptables` command: capture rules in the current network namespace set, removed or shown.
import { Argument, Command } from 'commander';
import {
  type ApplyReport,
  apply,
  type CleanReport,
  clean,
  defaultFlags,
  type IptablesConfig,
  type IptablesFlags,
  parseIptablesConfig,
  print,
} from '../iptables/main.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { UsageError } from '../runtime/usage-error.ts';

type Action = 'apply' | 'clean' | 'print';

interface Flags extends IptablesFlags {
  readonly logLevel?: string;
}

/** Defines `tracecar iptables`; the flags with a letter are those of Istio's init container. */
export function define(): Command {
  const command = new Command()
    .description('Capture rules in the current network namespace: what an init container runs.')
    .addArgument(new Argument('<action>', 'apply: set them; clean: remove them; print: show what apply would do'))
    .option('--iptables <KIND>', "tracecar: our own chains; istio: Istio's, to the letter", defaultFlags.iptables)
    .option('--capture <MODE>', 'redirect or tproxy: as -m')
    .option('-m, --istio-inbound-interception-mode <MODE>', 'REDIRECT or TPROXY (default: REDIRECT)');
  addOutboundOptions(addInboundOptions(addProxyOptions(command)));
  return command
    .option('-c, --istio-exclude-interfaces <NICS>', 'interfaces whose traffic is not captured', '')
    .option('-k, --kube-virt-interfaces <NICS>', 'interfaces of virtual machines: what comes in there is outbound', '')
    .option('--drop-invalid', 'drop packets of no known connection (also INVALID_DROP=true)')
    .option('--ipv6 <WHEN>', 'auto (when any interface has an IPv6 address), on or off', defaultFlags.ipv6)
    .option('--force-iptables-binary <VARIANT>', 'nft or legacy (default: the one that holds rules)')
    .option('--log-level <LEVEL>', 'trace, debug, info, warn, error (env LOG_LEVEL, default info)')
    .action(run);
}

function addProxyOptions(command: Command): Command {
  const { envoyPort, inboundCapturePort, proxyUid } = defaultFlags;
  return command
    .option('-p, --envoy-port <PORT>', 'where outbound connections go', envoyPort)
    .option('-z, --inbound-capture-port <PORT>', 'where inbound connections go', inboundCapturePort)
    .option('-u, --proxy-uid <IDS>', 'users whose traffic is never captured: the sidecar', proxyUid)
    .option('-g, --proxy-gid <IDS>', 'groups whose traffic is never captured (default: as -u)');
}

function addInboundOptions(command: Command): Command {
  const { istioInboundPorts, istioLocalExcludePorts } = defaultFlags;
  return command
    .option('-b, --istio-inbound-ports <PORTS>', 'inbound ports to capture, or *', istioInboundPorts)
    .option('-d, --istio-local-exclude-ports <PORTS>', 'but not these (with -b "*")', istioLocalExcludePorts);
}

function addOutboundOptions(command: Command): Command {
  return command
    .option('-i, --istio-service-cidr <CIDRS>', 'outbound ranges to capture, or *', defaultFlags.istioServiceCidr)
    .option('-x, --istio-service-exclude-cidr <CIDRS>', 'but not these', '')
    .option('-q, --istio-outbound-ports <PORTS>', 'outbound ports to capture whatever the address', '')
    .option('-o, --istio-local-outbound-ports-exclude <PORTS>', 'but not these', '');
}

function isAction(text: string): text is Action {
  return text === 'apply' || text === 'clean' || text === 'print';
}

function run(action: string, flags: Flags): void {
  const log = createLog('iptables', flags.logLevel);
  const config = parseIptablesConfig(flags, process.env);
  if (!isAction(action)) throw new UsageError(`"${action}" is none of apply, clean, print`);
  if (action === 'print') process.stdout.write(print(config));
  else if (action === 'apply') reportApply(apply(config), config, log);
  else reportClean(clean(config.kind), log);
}

function reportApply(
  { changes, repaired, ...report }: ApplyReport,
  { kind, mode, virtualInterfaces }: IptablesConfig,
  log: Log,
): void {
  const facts = { iptables: kind, mode, ...report };
  // REDIRECT leads what comes in by an interface to that interface's own address.
  if (virtualInterfaces.length > 0) {
    log.warn({ virtualInterfaces }, 'connections of -k find only a proxy whose outbound port listens on every address');
  }
  if (changes.length === 0) log.info(facts, 'no change: the rules are in force');
  else if (repaired === undefined) log.info({ ...facts, changes }, 'rules applied');
  else log.warn({ ...facts, changes, repaired }, 'rules repaired and applied');
}

function reportClean({ changes, left }: CleanReport, log: Log): void {
  if (changes.length === 0) log.info('nothing to clean: there are no rules of ours');
  else log.info({ changes }, 'rules removed');
  if (left.length > 0)
    log.warn({ chains: left }, 'chains of the other kind are still there: choose them with --iptables');
}
