// What a scenario with figures of its own is made of: its settings, its run, and the table it hands back.
import type { Bar } from './bars.ts';

/** The numbers a user may set; each scenario takes some of them. */
export const flagNames = ['seconds', 'rate', 'connections', 'requests', 'mebibytes', 'rounds'] as const;
export type FlagName = (typeof flagNames)[number];

export interface Flag {
  readonly fallback: readonly number[];
  readonly min: number;
  readonly max: number;
  readonly meaning: string;
  /** Whether it may be given more than once. */
  readonly repeat?: boolean;
}

export type Flags = Readonly<Partial<Record<FlagName, Flag>>>;

/** The values of a scenario's flags, one or more of each. */
export type Values = ReadonlyMap<FlagName, readonly number[]>;

export interface Column {
  /** The field of the JSON report, its unit in its name. */
  readonly key: string;
  readonly title: string;
  /** After the point; without it the column is text. */
  readonly digits?: number;
}

export type Row = Readonly<Record<string, string | number | undefined>>;

export interface StudyReport {
  /** Lines that say what the load was. */
  readonly load: readonly string[];
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  readonly bars: readonly Bar[];
  /** What went right or is to be known, a line each. */
  readonly notes: readonly string[];
  /** What must never happen: failed requests, lost spans. The run then ends with code 1. */
  readonly faults: readonly string[];
}

export interface StudyContext {
  /** The one value of a flag of this scenario. */
  value(name: FlagName): number;
  /** All values of a flag that may be repeated. */
  values(name: FlagName): readonly number[];
  /** The parts chosen, the usual ones unless the user said otherwise. */
  readonly parts: readonly string[];
  readonly folder: string;
  progress(what: string): void;
}

export interface Study {
  readonly name: string;
  /** One line for the reader of the table. */
  readonly summary: string;
  readonly flags: Flags;
  /** What `--only` may choose from. */
  readonly parts?: readonly string[];
  /** Those of `parts` that run without `--only`; all when not given. */
  readonly usualParts?: readonly string[];
  run(context: StudyContext): Promise<StudyReport>;
}

/** The context of a run with these values. */
export function createContext(
  values: Values,
  parts: readonly string[],
  folder: string,
  progress: (what: string) => void,
): StudyContext {
  const all = (name: FlagName): readonly number[] => {
    const found = values.get(name);
    if (found === undefined) throw new Error(`this scenario has no --${name}`);
    return found;
  };
  return { values: all, value: (name) => all(name)[0] ?? Number.NaN, parts, folder, progress };
}
