// What a figure is asked to be: a limit beside the value, printed with every table.

export interface Bar {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
  readonly holds: boolean;
}

/** `value` is to be at most `limit`; nothing when either could not be measured here. */
export function atMost(what: string, value: number | undefined, limit: number | undefined): Bar[] {
  if (value === undefined || limit === undefined || Number.isNaN(value) || Number.isNaN(limit)) return [];
  return [{ what: `${what}, at most`, value, limit, holds: value <= limit }];
}

/** `value` is to be at least `limit`; nothing when either could not be measured here. */
export function atLeast(what: string, value: number | undefined, limit: number | undefined): Bar[] {
  if (value === undefined || limit === undefined || Number.isNaN(value) || Number.isNaN(limit)) return [];
  return [{ what: `${what}, at least`, value, limit, holds: value >= limit }];
}

/** One line: what is asked, what was measured, whether it holds. */
export function barText({ what, value, limit, holds }: Bar): string {
  return `bar: ${what} ${short(limit)}: ${short(value)}, ${holds ? 'holds' : 'DOES NOT HOLD'}`;
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 3 : 1);
}
