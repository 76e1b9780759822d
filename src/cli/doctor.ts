// The `doctor` command: one request through a running installation, followed hop by hop to the stored trace.
import { Command } from 'commander';
import { formatAddress, parseAddress } from '../runtime/address.ts';
import { parseDurationMs } from '../runtime/duration.ts';
import { UsageError } from '../runtime/usage-error.ts';
import { examine } from './doctor/examine.ts';
import { renderFindings } from './doctor/findings.ts';
import { defaultAdmin, defaultCollector, defaultViewer, type Flags, findTargets } from './doctor/targets.ts';

export function define(): Command {
  return new Command()
    .description('Follow one request through a running installation; name the first thing that is wrong.')
    .option('--sidecar <address>', `admin address of a sidecar (${defaultAdmin}); repeat`, collectAddress, [])
    .option('--collector <address>', 'metrics address of the collector', defaultCollector)
    .option('--via <url>', "URL to ask, on a sidecar's listener (the first sidecar's first listener, path /)")
    .option('--viewer <address>', 'query address of the embedded store', defaultViewer)
    .option('--jaeger <url>', 'read the trace from this Jaeger query API as well; repeat', collectUrl('--jaeger'), [])
    .option('--zipkin <url>', 'read the trace from this Zipkin as well; repeat', collectUrl('--zipkin'), [])
    .option('--timeout <duration>', 'how long to wait for the spans', '10s')
    .action(run);
}

function collectAddress(value: string, before: readonly string[]): string[] {
  return [...before, requireAddress(value, '--sidecar')];
}

function collectUrl(flag: string) {
  return (value: string, before: readonly string[]) => [...before, requireUrl(value, flag)];
}

function requireUrl(value: string, flag: string): string {
  if (!/^https?:\/\/./.test(value) || !URL.canParse(value))
    throw new UsageError(`${flag}: "${value}" is not an http URL`);
  return value;
}

function requireAddress(value: string, flag: string): string {
  const address = parseAddress(value, flag);
  if (address.port === 0) throw new UsageError(`${flag}: "${value}" names no port`);
  return formatAddress(address);
}

async function run(flags: Flags): Promise<void> {
  const timeoutMs = parseDurationMs(flags.timeout, '--timeout');
  if (flags.via !== undefined) requireUrl(flags.via, '--via');
  const findings = await examine(
    await findTargets({
      ...flags,
      collector: requireAddress(flags.collector, '--collector'),
      viewer: requireAddress(flags.viewer, '--viewer'),
    }),
    timeoutMs,
  );
  const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  process.stdout.write(renderFindings(findings, colour));
  if (findings.some((finding) => finding.verdict === 'bad')) process.exitCode = 1;
}
