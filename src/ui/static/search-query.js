// From the parameters of the page's address to the path of the query API.

/** How far back a search looks, by the value of the form's field. */
export const ranges = [
  ['15m', 'Last 15 minutes', 15 * 60e6],
  ['1h', 'Last hour', 3600e6],
  ['6h', 'Last 6 hours', 6 * 3600e6],
  ['1d', 'Last 24 hours', 24 * 3600e6],
  ['2d', 'Last 2 days', 48 * 3600e6],
  ['all', 'Everything stored', undefined],
];

export const defaultLimit = 20;

/**
 * The path of /api/traces for the page's parameters: service, operation, tags (as typed: `key=value other=value`),
 * errors (`1`), min and max (durations), lookback, limit.
 */
export function searchPath(parameters, nowMs) {
  const get = (name) => (parameters.get(name) ?? '').trim();
  const query = new URLSearchParams({ service: get('service') || '*', limit: get('limit') || String(defaultLimit) });
  if (get('operation') !== '') query.set('operation', get('operation'));
  const tags = parseTags(get('tags'));
  if (get('errors') !== '') tags.error = 'true';
  if (Object.keys(tags).length > 0) query.set('tags', JSON.stringify(tags));
  if (get('min') !== '') query.set('minDuration', get('min'));
  if (get('max') !== '') query.set('maxDuration', get('max'));
  const spanUs = (ranges.find(([value]) => value === get('lookback')) ?? ranges.at(-1))[2];
  // A clock that runs ahead of ours must not hide its spans, hence the day in the future.
  query.set('end', String(Math.round((nowMs + 24 * 3600e3) * 1000)));
  query.set('start', String(spanUs === undefined ? 0 : Math.round(nowMs * 1000 - spanUs)));
  return `/api/traces?${query}`;
}

/** `http.status_code=500 error=true name="two words"` as an object; logfmt, as Jaeger's UI takes it. */
export function parseTags(text) {
  const tags = {};
  for (const [, key, quoted, bare] of text.matchAll(/([^\s=]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g)) {
    Object.defineProperty(tags, key, {
      value: quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1'),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return tags;
}
