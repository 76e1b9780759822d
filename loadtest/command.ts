// Reads the command line: which scenario, with which of its numbers.
import { parseArgs } from 'node:util';
import { peers } from './peers/all.ts';
import { type Scenario, scenarios } from './scenario.ts';
import { attacks } from './studies/attacks.ts';
import { capture } from './studies/capture.ts';
import { churn } from './studies/churn.ts';
import { idle } from './studies/idle.ts';
import { openLoop } from './studies/open-loop.ts';
import { rollingStop } from './studies/rolling-stop.ts';
import { rss } from './studies/rss.ts';
import { throughput } from './studies/throughput.ts';
import { type Flag, type FlagName, flagNames, type Study, type Values } from './study.ts';

export const studies: readonly Study[] = [openLoop, churn, capture, idle, throughput, rollingStop, attacks, rss];

export interface ChosenStudy {
  readonly kind: 'study';
  readonly study: Study;
  readonly values: Values;
  readonly parts: readonly string[];
  readonly json: boolean;
}

export interface ChosenComparison {
  readonly kind: 'comparison';
  readonly scenario: Scenario;
  readonly seconds: number;
  /** The names of the peers to run. */
  readonly parts: readonly string[];
  readonly json: boolean;
}

export type Chosen = ChosenComparison | ChosenStudy;

const comparisonSeconds: Flag = {
  fallback: [10],
  min: 5,
  max: 600,
  meaning: 'measured seconds for each proxy, split over five rounds',
};

const peerNames = peers.map(({ name }) => name);
const text = { type: 'string', multiple: true } as const;

/**
 * The scenario and its values, or the usage when that was asked for.
 * @throws Error on an unknown scenario or flag, and on a value that is not in its range
 */
export function parseCommand(args: readonly string[]): Chosen | string {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string', default: 'h1' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      seconds: text,
      rate: text,
      connections: text,
      requests: text,
      mebibytes: text,
      rounds: text,
      only: text,
    },
  });
  if (values.help) return usage();
  const given = new Map(flagNames.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])));
  const { json } = values;
  const scenario = scenarios.find(({ name }) => name === values.scenario);
  const study = studies.find(({ name }) => name === values.scenario);
  const known = scenario === undefined ? (study?.parts ?? []) : peerNames;
  const usual = scenario === undefined ? study?.usualParts : undefined;
  const parts = readParts(values.scenario, known, values.only ?? usual);
  if (scenario !== undefined) {
    const numbers = readNumbers(scenario.name, { seconds: comparisonSeconds }, given);
    return { kind: 'comparison', scenario, seconds: numbers.get('seconds')?.[0] ?? 10, parts, json };
  }
  if (study !== undefined) {
    return { kind: 'study', study, values: readNumbers(study.name, study.flags, given), parts, json };
  }
  const all = [...scenarios, ...studies].map(({ name }) => name).join(', ');
  throw new Error(`unknown scenario "${values.scenario}"; the scenarios are ${all}`);
}

function readParts(scenario: string, known: readonly string[], only: readonly string[] | undefined): readonly string[] {
  for (const name of only ?? []) {
    if (known.length === 0) throw new Error(`--only: scenario ${scenario} does not take it`);
    if (!known.includes(name)) throw new Error(`--only "${name}": it is one of ${known.join(', ')}`);
  }
  return only ?? known;
}

function readNumbers(scenario: string, flags: Study['flags'], given: ReadonlyMap<string, readonly string[]>): Values {
  for (const name of given.keys()) {
    if (!(name in flags)) throw new Error(`--${name}: scenario ${scenario} does not take it`);
  }
  const values = new Map<FlagName, readonly number[]>();
  for (const name of flagNames) {
    const flag = flags[name];
    if (flag === undefined) continue;
    const texts = given.get(name);
    if (texts !== undefined && texts.length > 1 && !flag.repeat) throw new Error(`--${name} is given more than once`);
    values.set(name, texts?.map((one) => readNumber(name, flag, one)) ?? flag.fallback);
  }
  return values;
}

function readNumber(name: string, { min, max }: Flag, given: string): number {
  const number = given.trim() === '' ? Number.NaN : Number(given);
  const whole = name !== 'seconds';
  if (!(number >= min && number <= max) || (whole && !Number.isInteger(number))) {
    throw new Error(`--${name} "${given}": a ${whole ? 'whole ' : ''}number from ${min} to ${max}`);
  }
  return number;
}

function usage(): string {
  const all = [...scenarios, ...studies];
  const comparisons = scenarios.map(({ name, summary }) => ({
    name,
    summary,
    flags: { seconds: comparisonSeconds },
    parts: peerNames,
  }));
  const blocks = [...comparisons, ...studies].map((one) => {
    const { name, summary, flags } = one;
    const parts =
      'parts' in one && one.parts !== undefined ? ['      --only NAME'.padEnd(22) + one.parts.join(', ')] : [];
    const lines = flagNames.flatMap((flagName) => {
      const flag: Flag | undefined = (flags as Study['flags'])[flagName];
      return flag === undefined ? [] : [`      --${flagName} N`.padEnd(22) + flagText(flag)];
    });
    return [`  ${name}: ${summary}`, ...lines, ...parts].join('\n');
  });
  return `Usage: npm run load -- [--scenario ${all.map(({ name }) => name).join('|')}] [--json]

The Tracecar sidecar and its peers under the same load, the proxy alone on one core.

Scenarios, each with the numbers it takes:

${blocks.join('\n\n')}

  --json              one line of JSON instead of the table
`;
}

function flagText({ meaning, fallback, repeat }: Flag): string {
  return `${meaning} (default ${fallback.join(' and ')}${repeat ? '; may be repeated' : ''})`;
}
