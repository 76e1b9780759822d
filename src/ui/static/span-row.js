// One span's row: the name in the tree on the left, the bar with its duration on the right.
import { h } from './dom.js';
import { count, duration } from './format.js';

/** `actions` has `toggle(row)` to fold what is below, and `open(row)` for the details. */
export function spanRow(trace, colours, row, actions) {
  const { node } = row;
  const hasChildren = node.children.length > 0;
  return h(
    'div',
    {
      class: `row${node.isError ? ' failed' : ''}`,
      role: 'row',
      tabindex: '-1',
      'aria-level': String(node.depth + 1),
      'aria-expanded': hasChildren ? 'true' : undefined,
      'aria-label': spoken(trace, node),
      'data-span': node.span.spanID,
      style: { '--service': colours.get(node.service), '--depth': String(Math.min(node.depth, 40)) },
      on: { click: () => actions.open(row) },
    },
    h('div', { class: 'name', role: 'gridcell' }, twisty(row, hasChildren, actions), nameOf(node)),
    lane(trace, node),
  );
}

function twisty(row, hasChildren, actions) {
  if (!hasChildren) return h('span', { class: 'twisty', 'aria-hidden': 'true' });
  const click = (event) => {
    event.stopPropagation();
    actions.toggle(row);
  };
  const label = `Show or hide ${count(row.node.descendantCount, 'span')} below`;
  return h('button', {
    class: 'twisty',
    type: 'button',
    tabindex: '-1',
    title: label,
    'aria-label': label,
    on: { click },
  });
}

function nameOf(node) {
  return [
    node.isError && h('span', { class: 'errors', title: 'This span failed' }, '⚠'),
    node.hasErrorBelow && !node.isError && h('span', { class: 'error-below', title: 'A span below failed' }, '△'),
    h('span', { class: 'service' }, node.service),
    h('span', { class: 'operation', title: `${node.service}: ${node.name}` }, node.name),
    node.kind !== '' && h('span', { class: 'kind' }, node.kind),
    node.missingParent !== null && h('span', { class: 'note', title: node.notes.join(' ') }, 'parent missing'),
    node.notes.length > 0 &&
      node.missingParent === null &&
      h('span', { class: 'note', title: node.notes.join(' ') }, noteLabel(node)),
    node.children.length > 0 && h('span', { class: 'below' }, `+${node.descendantCount}`),
  ];
}

function noteLabel(node) {
  return node.notes.some((note) => note.startsWith('It starts before')) ? 'clock skew' : 'note';
}

/**
 * The bar, and its duration behind it: the lane leaves room for the label of a bar that reaches its end. Their places
 * are shares of the whole trace; the style sheet turns these into those of the part in view.
 */
function lane(trace, node) {
  const total = trace.durationUs || 1;
  const start = (node.startUs - trace.startUs) / total;
  const length = (node.endUs - node.startUs) / total;
  const marks = node.span.logs.map((log) => eventMark(node, log));
  return h(
    'div',
    { class: 'lane', role: 'gridcell', style: { '--start': String(start), '--length': String(length) } },
    h('div', { class: 'plot' }, h('div', { class: 'bar' }, marks)),
    h('span', { class: 'label' }, duration(node.endUs - node.startUs)),
  );
}

function eventMark(node, log) {
  const length = node.endUs - node.startUs;
  const share = length === 0 ? 0 : (log.timestamp - node.startUs) / length;
  return h('i', { class: 'event', style: { left: `${Math.min(1, Math.max(0, share)) * 100}%` } });
}

function spoken(trace, node) {
  const parts = [node.service, node.name, node.kind, duration(node.endUs - node.startUs)];
  parts.push(`starts at ${duration(node.startUs - trace.startUs)}`);
  if (node.isError) parts.push('failed');
  return [...parts, ...node.notes].filter((part) => part !== '').join(', ');
}
