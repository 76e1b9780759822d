// One trace in the list: what it was, when, how long, which services, whether it failed.
import { h } from './dom.js';
import { ago, count, dateTime, duration, shortId } from './format.js';

/** A link to the trace. `longestUs` is the longest duration in the list: the bar's full width. */
export function traceRow(trace, { colours, longestUs, nowUs }) {
  const share = longestUs === 0 ? 0 : trace.durationUs / longestUs;
  const { root } = trace;
  return h(
    'a',
    { class: 'trace-row', href: `/trace/${encodeURIComponent(trace.traceId)}` },
    h(
      'span',
      { class: 'trace-title' },
      h('span', { class: 'service', style: { '--service': colours.get(root.service) } }, root.service),
      h('span', { class: 'operation' }, root.name),
      h('code', { class: 'id', title: trace.traceId }, shortId(trace.traceId)),
    ),
    h('span', { class: 'trace-time', title: dateTime(trace.startUs) }, ago(trace.startUs, nowUs)),
    h(
      'span',
      { class: 'trace-duration' },
      h(
        'span',
        { class: 'meter', 'aria-hidden': 'true' },
        h('span', { style: { width: `${Math.max(0.5, share * 100)}%` } }),
      ),
      h('span', { class: 'number' }, duration(trace.durationUs)),
    ),
    h(
      'span',
      { class: 'trace-facts' },
      h('span', {}, count(trace.nodes.length, 'span')),
      trace.errorCount > 0 && h('span', { class: 'errors' }, `⚠ ${count(trace.errorCount, 'error')}`),
      trace.isIncomplete && h('span', { class: 'incomplete', title: 'The parent of a span is missing' }, 'incomplete'),
    ),
    h(
      'span',
      { class: 'trace-services' },
      [...trace.services].map((entry) => serviceChip(entry, colours)),
    ),
  );
}

/** `orders 4`, with a mark when one of its spans failed. */
export function serviceChip([service, { spans, errors }], colours) {
  return h(
    'span',
    { class: 'chip', style: { '--service': colours.get(service) }, title: `${service}: ${count(spans, 'span')}` },
    service,
    h('span', { class: 'chip-count' }, String(spans)),
    errors > 0 && h('span', { class: 'errors', title: count(errors, 'error') }, '⚠'),
  );
}
