// One trace as a waterfall of text: the tree on the left, bars on one time scale on the right.
import type { StoredSpan } from './stored-spans.ts';

export interface WaterfallOptions {
  /** Columns to fill. */
  readonly width: number;
  readonly colour: boolean;
}

interface Row {
  readonly span: StoredSpan;
  readonly prefix: string;
}

const blocks = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const palette = [36, 33, 35, 32, 34, 96, 93, 95];

/** Renders the spans of one trace, roots first and children in order of their start; lines without a line end. */
export function renderWaterfall(spans: readonly StoredSpan[], options: WaterfallOptions): string[] {
  const rows = toRows(spans);
  const startUs = Math.min(...spans.map((span) => span.startUs));
  const totalUs = Math.max(1, ...spans.map((span) => span.startUs + span.durationUs - startUs));
  const labels = rows.map(({ span, prefix }) => `${prefix}${span.service}`);
  const names = rows.map(({ span }) => `${span.kind.padEnd(6)} ${span.name}`);
  const statuses = rows.map(({ span }) => String(span.tags['http.response.status_code'] ?? ''));
  const times = rows.map(({ span }) => formatUs(span.durationUs));
  const widest = (texts: readonly string[]) => Math.max(...texts.map((text) => text.length));
  const fixed = [labels, names, statuses, times].map(widest);
  const barWidth = Math.max(16, options.width - fixed.reduce((sum, w) => sum + w, 0) - 10);
  const colours = serviceColours(spans);

  return rows.map(({ span }, i) => {
    const paint = (code: number, text: string) => (options.colour ? `\u001b[${code}m${text}\u001b[0m` : text);
    const colour = span.error ? 31 : (colours.get(span.service) ?? 36);
    const bar = drawBar((span.startUs - startUs) / totalUs, span.durationUs / totalUs, barWidth);
    return [
      paint(colour, labels[i]!.padEnd(fixed[0]!)),
      names[i]!.padEnd(fixed[1]!),
      paint(span.error ? 31 : 2, statuses[i]!.padStart(fixed[2]!)),
      times[i]!.padStart(fixed[3]!),
      `│${paint(colour, bar)}│`,
    ].join('  ');
  });
}

function toRows(spans: readonly StoredSpan[]): Row[] {
  const ids = new Set(spans.map((span) => span.spanId));
  const childrenOf = (parentId: string) =>
    spans.filter((span) => span.parentId === parentId).toSorted((a, b) => a.startUs - b.startUs);
  const visit = (span: StoredSpan, prefix: string, below: string): Row[] => {
    const children = childrenOf(span.spanId);
    return [
      { span, prefix },
      ...children.flatMap((child, i) =>
        i === children.length - 1 ? visit(child, `${below}└ `, `${below}  `) : visit(child, `${below}├ `, `${below}│ `),
      ),
    ];
  };
  return spans.filter((span) => !ids.has(span.parentId)).flatMap((root) => visit(root, '', ''));
}

// The right end is true to an eighth of a column, so that no child seems to outlast its parent; the left end is the
// column's begin. A span shorter than a column is drawn by its length, one of no visible length as a sliver.
function drawBar(offset: number, length: number, width: number): string {
  const start = Math.min(width - 1, Math.floor(offset * width));
  const byLength = Math.round(length * width * 8);
  const toEnd = Math.round((offset + length) * width * 8) - start * 8;
  const eighths = Math.max(1, Math.min(byLength < 8 ? byLength : toEnd, (width - start) * 8));
  const bar = '█'.repeat(Math.floor(eighths / 8)) + (blocks[eighths % 8] ?? '');
  return `${' '.repeat(start)}${bar}`.padEnd(width);
}

function serviceColours(spans: readonly StoredSpan[]): Map<string, number> {
  const services = [...new Set(spans.map((span) => span.service))].sort();
  return new Map(services.map((service, i) => [service, palette[i % palette.length]!]));
}

function formatUs(us: number): string {
  return us >= 1_000_000 ? `${(us / 1_000_000).toFixed(2)} s ` : `${(us / 1000).toFixed(1)} ms`;
}
