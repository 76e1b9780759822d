// Everything about one span, under its row: times, attributes, events, links, resource, ids.
import { h } from './dom.js';
import { count, dateTime, duration } from './format.js';

/** The panel that opens below a row. */
export function spanDetails(trace, colours, node) {
  const { span, process } = node;
  const links = span.references.filter((reference) => reference.refType === 'FOLLOWS_FROM');
  return h(
    'div',
    { class: 'details', style: { '--service': colours.get(node.service) } },
    h(
      'dl',
      { class: 'facts' },
      fact('Service', node.service),
      fact('Operation', node.name),
      fact('Kind', node.kind || 'unspecified'),
      fact('Starts at', `${duration(node.startUs - trace.startUs)} (${dateTime(node.startUs)})`),
      fact('Duration', duration(node.endUs - node.startUs)),
      fact('In itself', duration(selfTime(node))),
    ),
    node.notes.map((note) => h('p', { class: 'warning' }, `⚠ ${note}`)),
    section('Attributes', span.tags.length, table(span.tags), true),
    section(
      'Events',
      span.logs.length,
      span.logs.map((log) => eventOf(trace, log)),
      span.logs.length <= 10,
    ),
    section(
      'Links',
      links.length,
      h(
        'ul',
        {},
        links.map((link) => h('li', {}, linkTo(trace, link))),
      ),
      true,
    ),
    section('Resource', process?.tags.length ?? 0, table(process?.tags ?? []), false),
    h(
      'dl',
      { class: 'facts ids' },
      fact(
        'Span id',
        h('a', { href: pathOf(trace.traceId, span.spanID), title: 'A link to this span' }, h('code', {}, span.spanID)),
      ),
      fact('Parent id', h('code', {}, parentOf(span) ?? 'none')),
      fact('Trace id', h('code', {}, trace.traceId)),
    ),
  );
}

function fact(label, value) {
  return h('div', {}, h('dt', {}, label), h('dd', {}, value));
}

function section(title, size, content, open) {
  if (size === 0) return null;
  return h('details', { open }, h('summary', {}, `${title} `, h('span', { class: 'size' }, String(size))), content);
}

function table(tags) {
  const isFailure = (tag) => tag.key === 'error' || (tag.key === 'otel.status_code' && tag.value === 'ERROR');
  return h(
    'table',
    { class: 'tags' },
    h(
      'tbody',
      {},
      tags.map((tag) =>
        h(
          'tr',
          { class: isFailure(tag) ? 'errors' : '' },
          h('th', { scope: 'row' }, tag.key),
          h('td', {}, valueContent(tag)),
        ),
      ),
    ),
  );
}

/** Text that is JSON (arrays and maps arrive so) is laid out; an array of a few plain values stays on its line. */
function valueContent(tag) {
  const text = String(tag.value);
  if (tag.type === 'binary') return [h('code', {}, text), h('span', { class: 'type' }, 'base64')];
  if (tag.type !== 'string') return [h('code', { class: 'plain' }, text), h('span', { class: 'type' }, tag.type)];
  if (!/^[[{]/.test(text) || text.length > 50_000) return text;
  try {
    const value = JSON.parse(text);
    const isFlat = Array.isArray(value) && value.every((each) => typeof each !== 'object');
    // Numbers beyond 2^53 would change in the parsing: then the text stays as it came.
    const isExact = !/\d{16,}/.test(text);
    return isExact && !isFlat ? h('pre', {}, JSON.stringify(value, null, 2)) : h('code', {}, text);
  } catch {
    return text;
  }
}

function eventOf(trace, log) {
  const named = log.fields.find((field) => field.key === 'event');
  const rest = log.fields.filter((field) => field !== named);
  return h(
    'details',
    { class: 'event-entry', open: rest.length <= 3 },
    h(
      'summary',
      {},
      h('span', { class: 'at' }, duration(log.timestamp - trace.startUs)),
      ' ',
      named ? String(named.value) : count(rest.length, 'field'),
    ),
    rest.length > 0 && table(rest),
  );
}

function linkTo(trace, link) {
  const where =
    link.traceID === trace.traceId
      ? `span ${link.spanID} of this trace`
      : `span ${link.spanID} of trace ${link.traceID}`;
  return h('a', { href: pathOf(link.traceID, link.spanID) }, where);
}

function pathOf(traceId, spanId) {
  return `/trace/${encodeURIComponent(traceId)}?span=${encodeURIComponent(spanId)}`;
}

function parentOf(span) {
  const own = span.references.filter((reference) => reference.traceID === span.traceID);
  return (own.find((reference) => reference.refType === 'CHILD_OF') ?? own[0])?.spanID;
}

/** The span's time that none of its children covers. */
function selfTime(node) {
  let covered = 0;
  let reached = node.startUs;
  for (const child of node.children) {
    const from = Math.max(child.startUs, reached);
    const to = Math.min(child.endUs, node.endUs);
    if (to <= from) continue;
    covered += to - from;
    reached = to;
  }
  return Math.max(0, node.endUs - node.startUs - covered);
}
