// Numbers and times as people read them. Durations and times are in microseconds, as in the JSON.

/** 0µs, 850µs, 12.3ms, 1.25s, 2m 05s, 1h 02m. */
export function duration(us) {
  if (us < 0) return `-${duration(-us)}`;
  if (us < 999.5) return `${Math.round(us)}µs`;
  if (us < 999_500) return `${three(us / 1e3)}ms`;
  if (us < 59_950_000) return `${three(us / 1e6)}s`;
  const seconds = Math.round(us / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
}

/** Three significant digits without trailing zeros. */
function three(number) {
  return String(Number(number.toPrecision(number >= 999.5 ? 4 : 3)));
}

function two(number) {
  return String(number).padStart(2, '0');
}

/** Local date and time to the millisecond. */
export function dateTime(us) {
  const date = new Date(us / 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${timeOfDay(us)}`;
}

/** Local time of day to the millisecond. */
export function timeOfDay(us) {
  const date = new Date(us / 1000);
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}

/** How long ago: `just now`, `12 s ago`, `3 min ago`, `2 h ago`, `4 days ago`. */
export function ago(us, nowUs) {
  const seconds = Math.round((nowUs - us) / 1e6);
  if (seconds < 3) return 'just now';
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

/** `1 span`, `2 spans`, `1,204 spans`. */
export function count(number, noun) {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}

/** A trace id short enough for a list. */
export function shortId(id) {
  return id.slice(0, 7);
}
