// The value of each option with where it came from: flags beat environment, environment beats file, file beats default.
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { parseDurationMs } from '../runtime/duration.ts';
import { errorMessage, UsageError } from '../runtime/usage-error.ts';
import type { Origin } from './config.ts';
import { type FlagValues, type OptionName, options } from './options.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One value of each option, with where it came from. */
export class Settings {
  readonly origins = new Map<string, Origin>();
  readonly #flags: FlagValues;
  readonly #environment: Environment;
  readonly #file: Readonly<Record<string, unknown>>;
  readonly #fileName: string;
  readonly #defaults: FlagValues;

  /** @param defaults instead of the option table's */
  constructor(
    flags: FlagValues,
    environment: Environment,
    file: Readonly<Record<string, unknown>>,
    defaults: FlagValues = {},
  ) {
    this.#flags = flags;
    this.#environment = environment;
    this.#file = file;
    this.#defaults = defaults;
    this.#fileName = String(flags.config ?? '');
  }

  /** The place an error should name. */
  where(name: OptionName): string {
    const origin = this.origins.get(name);
    if (origin === 'environment') return options[name].environment ?? `--${name}`;
    return origin === 'file' ? `${this.#fileName}: ${name}` : `--${name}`;
  }

  text(name: OptionName): string {
    const value = this.#raw(name);
    return Array.isArray(value) ? value.join(',') : String(value);
  }

  list(name: OptionName): readonly string[] {
    const value = this.#raw(name);
    if (Array.isArray(value)) return value.map(String);
    return value === ''
      ? []
      : String(value)
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '');
  }

  choice<T extends string>(name: OptionName, allowed: readonly T[]): T {
    const value = this.text(name);
    const found = allowed.find((candidate) => candidate === value);
    if (found === undefined)
      throw new UsageError(`${this.where(name)}: "${value}" is not one of ${allowed.join(', ')}`);
    return found;
  }

  flag(name: OptionName): boolean {
    return this.choice(name, ['true', 'false']) === 'true';
  }

  integer(name: OptionName, min: number, max: number): number {
    const value = this.text(name);
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) {
      throw new UsageError(`${this.where(name)}: "${value}" is not a whole number from ${min} to ${max}`);
    }
    return number;
  }

  percent(name: OptionName): number {
    return parsePercent(this.text(name), this.where(name), 100);
  }

  durationMs(name: OptionName): number {
    return parseDurationMs(this.text(name), this.where(name));
  }

  #raw(name: OptionName): unknown {
    const flag = this.#flags[name];
    if (flag !== undefined && flag.length > 0) return this.#from(name, 'flag', flag);
    const variable = options[name].environment;
    const fromEnvironment = variable === undefined ? undefined : this.#environment[variable];
    if (fromEnvironment !== undefined && fromEnvironment !== '')
      return this.#from(name, 'environment', fromEnvironment);
    const fromFile = this.#file[name];
    if (fromFile !== undefined && fromFile !== null) return this.#from(name, 'file', fromFile);
    return this.#defaults[name] ?? options[name].fallback;
  }

  #from(name: OptionName, origin: Origin, value: unknown): unknown {
    this.origins.set(name, origin);
    return value;
  }
}

/** The keys of a YAML file, each of which must be an option. */
export function readConfigFile(name: FlagValues[string]): Readonly<Record<string, unknown>> {
  if (name === undefined) return {};
  const file = String(name);
  let content: unknown;
  try {
    content = parseYaml(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw new UsageError(`--config ${file}: ${errorMessage(error)}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(`--config ${file}: expected keys and values at the top level`);
  }
  for (const key of Object.keys(content)) {
    if (!(key in options)) {
      throw new UsageError(`--config ${file}: unknown key "${key}"; the keys are ${Object.keys(options).join(', ')}`);
    }
  }
  return Object.fromEntries(Object.entries(content));
}

/** A number from 0 to `scale`, as a percentage. */
export function parsePercent(text: string, where: string, scale: number): number {
  const value = Number(text) * (100 / scale);
  if (text.trim() === '' || !(value >= 0 && value <= 100)) {
    throw new UsageError(
      `${where}: "${text}" is not a ${scale === 100 ? 'percentage from 0 to 100' : 'share from 0 to 1'}`,
    );
  }
  return value;
}
