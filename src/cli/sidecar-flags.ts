// The sidecar's flags for the commands that start one: from the option table to commander, and back to flag values.
import { type Command, Option } from 'commander';
import { type FlagValues, options } from '../sidecar/options.ts';

/** What commander makes of a command's flags. */
export type ParsedFlags = Readonly<Record<string, string | string[] | true | undefined>>;

/** Adds every option of the sidecar, `--config` and `--log-level`. */
export function addSidecarFlags(command: Command, defaultLevel: string): Command {
  command.option(
    '--config <FILE>',
    'YAML with the long flag names as keys; flags beat environment, environment beats file',
  );
  for (const [name, option] of Object.entries(options)) {
    const notes = [option.environment && `env ${option.environment}`, option.fallback && `default ${option.fallback}`];
    const shown = notes.filter(Boolean).join(', ');
    const form = option.argument === '' ? `--${name}` : `--${name} <${option.argument}>`;
    const flag = new Option(form, shown ? `${option.meaning} (${shown})` : option.meaning);
    if (option.repeat) flag.argParser(collect);
    command.addOption(flag);
  }
  return command.option(
    '--log-level <LEVEL>',
    `trace, debug, info, warn, error (env LOG_LEVEL, default ${defaultLevel})`,
  );
}

/** For flags that may be repeated. */
export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** By long name without dashes, as `loadConfig` takes them. */
export function toFlagValues(parsed: ParsedFlags): FlagValues {
  return Object.fromEntries(
    Object.entries(parsed).map(([key, value]) => [
      key.replace(/[A-Z]/g, (upper) => `-${upper.toLowerCase()}`),
      value === true ? 'true' : value,
    ]),
  );
}
