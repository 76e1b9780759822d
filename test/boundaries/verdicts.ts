// One case against one oracle, and the counts for the table.
import type { BoundaryCase } from './corpus.ts';
import { boundaryFaults, insertionFaults, turnedAway } from './judge.ts';
import type { TracecarView } from './tracecar-view.ts';
import type { Oracle } from './view.ts';

export type Outcome = 'agreed' | 'opaque' | 'ended';

/** How far Tracecar read: to the probe, until a doubt, or until no request was to follow. */
export function outcomeOf({ probe }: BoundaryCase, tracecar: TracecarView): Outcome {
  if (tracecar.opaque !== '') return 'opaque';
  return tracecar.requests.at(-1)?.target === probe ? 'agreed' : 'ended';
}

async function faultsOnce(tracecar: TracecarView, bytes: string, oracle: Oracle, patient: boolean) {
  const direct = await oracle.see(bytes, patient);
  const inserted = tracecar.requests.some(({ traceparent }) => traceparent !== undefined);
  const through = inserted ? await oracle.see(tracecar.forwarded, patient) : direct;
  return { faults: [...boundaryFaults(tracecar, direct), ...insertionFaults(tracecar, direct, through)], direct };
}

export interface Verdict {
  /** One line each, with the case and its bytes. */
  readonly faults: readonly string[];
  /** The oracle refused or closed before the probe. */
  readonly turnedAway: boolean;
}

/** Asks an oracle about a case; a fault is looked at twice, the second time with more patience. */
export async function judge(subject: BoundaryCase, tracecar: TracecarView, oracle: Oracle): Promise<Verdict> {
  let { faults, direct } = await faultsOnce(tracecar, subject.bytes, oracle, false);
  // Who closes with bytes unread resets the connection, and its refusal may be lost: a real fault comes every time.
  for (let again = 0; again < 3 && faults.length > 0; again++) {
    ({ faults, direct } = await faultsOnce(tracecar, subject.bytes, oracle, true));
  }
  const bytes = JSON.stringify(subject.bytes.slice(0, 600));
  return {
    faults: faults.map((fault) => `${subject.family}: ${subject.name}: ${oracle.name}: ${fault} in ${bytes}`),
    turnedAway: turnedAway(direct),
  };
}

interface Row {
  cases: number;
  agreed: number;
  opaque: number;
  ended: number;
  /** Cases each oracle turned away, by its name. */
  readonly turnedAway: Map<string, number>;
}

/** Counts by family. */
export class Tally {
  readonly #rows = new Map<string, Row>();

  #row(family: string): Row {
    const known = this.#rows.get(family);
    if (known !== undefined) return known;
    const row: Row = { cases: 0, agreed: 0, opaque: 0, ended: 0, turnedAway: new Map() };
    this.#rows.set(family, row);
    return row;
  }

  add(family: string, outcome: Outcome): void {
    const row = this.#row(family);
    row.cases++;
    row[outcome]++;
  }

  addTurnedAway(family: string, oracle: string): void {
    const { turnedAway } = this.#row(family);
    turnedAway.set(oracle, (turnedAway.get(oracle) ?? 0) + 1);
  }

  /** The counts of all families together. */
  get total(): Omit<Row, 'turnedAway'> {
    const total = { cases: 0, agreed: 0, opaque: 0, ended: 0 };
    for (const row of this.#rows.values()) {
      total.cases += row.cases;
      total.agreed += row.agreed;
      total.opaque += row.opaque;
      total.ended += row.ended;
    }
    return total;
  }

  /** A line a family: cases, how Tracecar took them, how many each oracle turned away. */
  lines(oracles: readonly string[]): string[] {
    const head = [
      'family'.padEnd(40),
      'cases',
      'agreed',
      'opaque',
      'ended',
      ...oracles.map((name) => `${name} refuses`),
    ];
    const line = (name: string, cells: readonly number[]) =>
      [name.padEnd(40), ...cells.map((cell, i) => String(cell).padStart(head[i + 1]!.length))].join('  ');
    const cellsOf = (row: Row) => [
      row.cases,
      row.agreed,
      row.opaque,
      row.ended,
      ...oracles.map((oracle) => row.turnedAway.get(oracle) ?? 0),
    ];
    const rows = [...this.#rows];
    const sums = rows.map(([, row]) => cellsOf(row)).reduce((sum, cells) => sum.map((cell, i) => cell + cells[i]!));
    return [head.join('  '), ...rows.map(([family, row]) => line(family, cellsOf(row))), line('all', sums)];
  }
}
