// What the doctor has to say: one line a hop, and for a fault what to do about it.

export interface Finding {
  readonly hop: string;
  /** `open` is what could not be judged: not a fault. */
  readonly verdict: 'good' | 'bad' | 'open';
  readonly detail: string;
  /** What to do: for every fault, and for what is open where something can be done. */
  readonly advice?: string;
}

export const good = (hop: string, detail: string): Finding => ({ hop, verdict: 'good', detail });
export const open = (hop: string, detail: string, advice?: string): Finding => ({
  ...{ hop, verdict: 'open', detail },
  ...(advice === undefined ? {} : { advice }),
});
export const bad = (hop: string, detail: string, advice: string): Finding => ({ hop, verdict: 'bad', detail, advice });

const signs = { good: '✓', bad: '✗', open: '·' } as const;
const colours = { good: 32, bad: 31, open: 2 } as const;

/** The findings as lines, and last the first fault with its remedy, or that there is none. */
export function renderFindings(findings: readonly Finding[], colour: boolean): string {
  const width = Math.max(...findings.map((finding) => finding.hop.length));
  const paint = (verdict: Finding['verdict'], text: string) =>
    colour ? `\u001b[${colours[verdict]}m${text}\u001b[0m` : text;
  const fault = findings.find((finding) => finding.verdict === 'bad');
  const lines = findings.flatMap((finding) => {
    const { hop, verdict, detail, advice } = finding;
    const line = `  ${paint(verdict, signs[verdict])} ${hop.padEnd(width)}  ${detail}`;
    // The first fault's remedy stands at the end, where nobody misses it.
    return advice === undefined || finding === fault ? [line] : [line, `    ${' '.repeat(width)}  → ${advice}`];
  });
  const last =
    fault === undefined
      ? [paint('good', 'doctor: nothing is wrong')]
      : [
          paint('bad', `doctor: first thing wrong: ${fault.hop}: ${fault.detail}`),
          `        what to do: ${fault.advice}`,
        ];
  return `${[...lines, '', ...last].join('\n')}\n`;
}
