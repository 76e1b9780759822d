// The waterfall: one row a span, indented under its parent, its bar on the time axis all rows share.
import { h } from './dom.js';
import { spanDetails } from './span-details.js';
import { spanRow } from './span-row.js';
import { matchesText } from './span-text.js';
import { timeAxis } from './time-axis.js';

/**
 * Draws a trace.
 * @returns `{ element, reveal(spanId), find(text), nextMatch(step), nextError(), resetZoom(), onZoom(listener),
 *   collapseAll(collapsed) }`
 */
export function waterfall(trace, colours) {
  const rows = trace.nodes.map((node) => ({ node, collapsed: false, matched: false, element: null, details: null }));
  const byNode = new Map(rows.map((row) => [row.node, row]));
  const body = h('div', { class: 'rows', role: 'rowgroup' });
  const axis = timeAxis((from, to) => {
    const lengthUs = view.toUs - view.fromUs;
    zoom(view.fromUs + from * lengthUs, view.fromUs + to * lengthUs);
  });
  const element = h('div', { class: 'waterfall', role: 'treegrid', 'aria-label': 'Spans' }, axis.element, body);
  const view = { fromUs: trace.startUs, toUs: trace.endUs, onChange: () => {} };
  const state = { active: rows[0], errorAt: -1, matchAt: -1 };

  const actions = {
    toggle: (row) => collapse([row], !row.collapsed),
    open: (row) => toggleDetails(trace, colours, row),
  };
  for (const row of rows) {
    row.element = spanRow(trace, colours, row, actions);
    body.append(row.element);
  }
  if (state.active) state.active.element.tabIndex = 0;
  zoom(trace.startUs, trace.endUs);

  /** Shows only this part of the time; never less than a microsecond. */
  function zoom(fromUs, toUs) {
    view.fromUs = fromUs;
    view.toUs = Math.max(toUs, fromUs + 1);
    const total = trace.durationUs || 1;
    const marks = axis.draw(view.fromUs - trace.startUs, view.toUs - trace.startUs);
    element.style.setProperty('--from', String((view.fromUs - trace.startUs) / total));
    element.style.setProperty('--scale', String(total / (view.toUs - view.fromUs)));
    element.style.setProperty('--grid', marks.map(gridLine).join(', '));
    for (const { node, element: drawn } of rows) {
      drawn.classList.toggle('outside', node.endUs < view.fromUs || node.startUs > view.toUs);
    }
    view.onChange(view.fromUs > trace.startUs || view.toUs < trace.endUs);
  }

  function collapse(changed, collapsed) {
    for (const row of changed) {
      if (row.node.children.length === 0) continue;
      row.collapsed = collapsed;
      row.element.setAttribute('aria-expanded', String(!collapsed));
    }
    for (const row of rows) {
      const parent = row.node.parent && byNode.get(row.node.parent);
      row.hidden = parent ? parent.hidden || parent.collapsed : false;
      row.element.hidden = row.hidden;
      if (row.details) row.details.hidden = row.hidden;
    }
    if (state.active.hidden) {
      let { node } = state.active;
      while (byNode.get(node).hidden) node = node.parent;
      activate(byNode.get(node));
    }
  }

  function activate(row) {
    state.active.element.tabIndex = -1;
    row.element.tabIndex = 0;
    state.active = row;
  }

  function goTo(row) {
    const above = [];
    for (let { parent } = row.node; parent !== null; parent = parent.parent) above.push(byNode.get(parent));
    if (row.hidden) collapse(above, false);
    activate(row);
    row.element.focus({ preventScroll: true });
    row.element.scrollIntoView({ block: 'center' });
  }

  function next(candidates, from, step) {
    if (candidates.length === 0) return -1;
    const at = (from + step + candidates.length) % candidates.length;
    goTo(candidates[at]);
    return at;
  }

  body.addEventListener('focusin', (event) => {
    const row = rows.find((each) => each.element === event.target);
    if (row) activate(row);
  });
  body.addEventListener('keydown', (event) => {
    const row = rows.find((each) => each.element === event.target);
    if (row && onKey(event, row)) event.preventDefault();
  });

  /** The keys of a tree grid (WAI-ARIA): true when the key was one of them. */
  function onKey(event, row) {
    if (event.altKey || event.ctrlKey || event.metaKey) return false;
    const visible = rows.filter((each) => !each.hidden);
    const at = visible.indexOf(row);
    const isOpenBranch = row.node.children.length > 0 && !row.collapsed;
    const moves = {
      ArrowDown: () => visible[at + 1],
      ArrowUp: () => visible[at - 1],
      Home: () => visible[0],
      End: () => visible.at(-1),
      PageDown: () => visible[Math.min(at + 15, visible.length - 1)],
      PageUp: () => visible[Math.max(at - 15, 0)],
    };
    if (event.key in moves) focusRow(moves[event.key]());
    else if (event.key === 'Enter' || event.key === ' ') actions.open(row);
    else if (event.key === 'z') zoom(row.node.startUs, row.node.endUs);
    else if (event.key === 'Escape') zoom(trace.startUs, trace.endUs);
    else if (event.key === 'ArrowRight' && row.collapsed) collapse([row], false);
    else if (event.key === 'ArrowRight' && isOpenBranch) focusRow(visible[at + 1]);
    else if (event.key === 'ArrowLeft' && isOpenBranch) collapse([row], true);
    else if (event.key === 'ArrowLeft' && row.node.parent) focusRow(byNode.get(row.node.parent));
    else return false;
    return true;
  }

  function focusRow(row) {
    if (!row) return;
    activate(row);
    row.element.focus();
  }

  return {
    element,
    reveal(spanId) {
      const row = rows.find((each) => each.node.span.spanID === spanId);
      if (!row) return;
      if (!row.details) actions.open(row);
      goTo(row);
    },
    find(text) {
      state.matchAt = -1;
      for (const row of rows) {
        row.matched = text.trim() !== '' && matchesText(row.node, text.trim().toLowerCase());
        row.element.classList.toggle('matched', row.matched);
      }
      return rows.filter((row) => row.matched).length;
    },
    nextMatch(step) {
      const matched = rows.filter((row) => row.matched);
      state.matchAt = next(matched, state.matchAt === -1 && step < 0 ? 0 : state.matchAt, step);
      return { position: state.matchAt + 1, total: matched.length };
    },
    nextError() {
      const failed = rows.filter((row) => row.node.isError);
      state.errorAt = next(failed, state.errorAt, 1);
    },
    resetZoom: () => zoom(trace.startUs, trace.endUs),
    /** `listener(isZoomed)` hears of each change of the part in view. */
    onZoom(listener) {
      view.onChange = listener;
    },
    collapseAll: (collapsed) => collapse(rows, collapsed),
  };
}

/** One vertical line behind all bars. */
function gridLine({ share }) {
  return `linear-gradient(var(--line-soft), var(--line-soft)) ${share * 100}% 0 / 1px 100% no-repeat`;
}

function toggleDetails(trace, colours, row) {
  const isOpen = row.details !== null;
  row.element.classList.toggle('open', !isOpen);
  if (isOpen) {
    row.details.remove();
    row.details = null;
    return;
  }
  row.details = spanDetails(trace, colours, row.node);
  row.element.after(row.details);
}
