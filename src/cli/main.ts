#!/usr/bin/env node
// The `tracecar` program: picks the command, turns thrown errors into one line and an exit code.
import { errorCode, errorMessage, UsageError } from '../runtime/usage-error.ts';
import { type CommandModule, loadBundled } from './bundled.ts';

/** A command's own file is loaded only when it runs: start-up time and memory of a sidecar count. */
const commands: Readonly<Record<string, () => Promise<CommandModule>>> = {
  sidecar: async () => loadBundled('sidecar') ?? import('./sidecar.ts'),
  collector: () => import('./collector.ts'),
  iptables: () => import('./iptables.ts'),
  run: () => import('./run.ts'),
  demo: () => import('./demo.ts'),
  doctor: () => import('./doctor.ts'),
};

const summaries: Readonly<Record<string, string>> = {
  sidecar: 'the proxy beside one workload',
  collector: "the collector tier's process: OTLP in; OTLP, Zipkin and the embedded store out",
  iptables: 'capture rules in the current network namespace: apply, clean or print them',
  run: 'start a command with a sidecar around it',
  demo: 'a mesh of four services, a sidecar each, the collector and the viewer',
  doctor: 'follow one request through a running installation and name the first thing that is wrong',
  version: 'print the version',
  help: 'this text, or with a command the flags of that command',
};

function overview(): string {
  const lines = Object.entries(summaries).map(([name, summary]) => `  ${name.padEnd(10)} ${summary}`);
  return `Usage: tracecar <command> [flags]\n\nCommands:\n${lines.join('\n')}\n\nEvery command: --help\n`;
}

async function run(argv: readonly string[]): Promise<void> {
  const [first = 'help', ...rest] = argv;
  if (first === 'version' || first === '--version' || first === '-V') {
    const { version } = await import('./version.ts');
    process.stdout.write(`tracecar ${version}\n`);
    return;
  }
  const isHelp = first === 'help' || first === '--help' || first === '-h';
  const name = isHelp ? rest[0] : first;
  if (name === undefined) {
    process.stdout.write(overview());
    return;
  }
  const load = commands[name];
  if (load === undefined) {
    throw new UsageError(`unknown command "${name}"; the commands are ${Object.keys(summaries).join(', ')}`);
  }
  const command = (await load()).define().name(`tracecar ${name}`).exitOverride().showHelpAfterError(false);
  command.configureOutput({ outputError: () => {} });
  await command.parseAsync(isHelp ? ['--help'] : rest, { from: 'user' });
}

run(process.argv.slice(2)).catch((error: unknown) => {
  // By code, not by class: a bundled command has classes of its own.
  const code = errorCode(error) ?? '';
  if (code === 'commander.helpDisplayed' || code === 'commander.help') process.exit(0);
  const usage = code === 'TRACECAR_USAGE' || code.startsWith('commander.');
  const message = errorMessage(error).replace(/^error: /, '');
  process.stderr.write(`tracecar: ${usage ? message.replaceAll('\n', ' ') : message}\n`);
  process.exit(usage ? 2 : 1);
});
