// The waterfall: one row a span, indented under its parent, its bar on the time axis all rows share.
import { h } from './dom.js';
import { spanDetails } from './span-details.js';
import { spanRow } from './span-row.js';
import { matchesText } from './span-text.js';
import { SpanTree } from './span-tree.js';
import { TimeView } from './time-view.js';

export class Waterfall {
  constructor(trace, colours) {
    this.trace = trace;
    this.colours = colours;
    this.rows = trace.nodes.map((node) => ({ node, details: null, collapsed: false, hidden: false, matched: false }));
    for (const row of this.rows) row.element = spanRow(trace, colours, row, this);
    this.tree = new SpanTree(this.rows);
    this.time = new TimeView(trace, this.rows);
    this.errorAt = -1;
    this.matchAt = -1;
    const body = h(
      'div',
      { role: 'rowgroup' },
      this.rows.map((row) => row.element),
    );
    this.element = h(
      'div',
      { class: 'waterfall', role: 'treegrid', 'aria-label': 'Spans' },
      this.time.axis.element,
      body,
    );
    this.time.attach(this.element);
    body.addEventListener('focusin', (event) => {
      const row = this.tree.findByElement(event.target);
      if (row !== undefined) this.tree.activate(row);
    });
    body.addEventListener('keydown', (event) => {
      const row = this.tree.findByElement(event.target);
      if (row !== undefined && this.onKey(event, row)) event.preventDefault();
    });
  }

  /** True when the key was one of ours. */
  onKey(event, row) {
    if (event.altKey || event.ctrlKey || event.metaKey) return false;
    if (event.key === 'Enter' || event.key === ' ') this.open(row);
    else if (event.key === 'z') this.time.show(row.node.startUs, row.node.endUs);
    else if (event.key === 'Escape') this.time.showAll();
    else return this.tree.onKey(event.key, row);
    return true;
  }

  /** Folds or unfolds what is below a row. */
  toggle(row) {
    this.tree.collapse([row], !row.collapsed);
  }

  collapseAll(collapsed) {
    this.tree.collapse(this.rows, collapsed);
  }

  /** Opens or closes the details of a row. */
  open(row) {
    row.element.classList.toggle('open', row.details === null);
    if (row.details === null) {
      row.details = spanDetails(this.trace, this.colours, row.node);
      row.element.after(row.details);
    } else {
      row.details.remove();
      row.details = null;
    }
  }

  /** Opens a span's details and scrolls there; of two spans that share the id, the first. */
  reveal(spanId) {
    const row = this.rows.find((each) => each.node.span.spanID === spanId);
    if (row === undefined) return;
    if (row.details === null) this.open(row);
    this.tree.reveal(row);
  }

  /** Marks the rows that contain the text; their number. */
  find(text) {
    const wanted = text.trim().toLowerCase();
    this.matchAt = -1;
    for (const row of this.rows) {
      row.matched = wanted !== '' && matchesText(row.node, wanted);
      row.element.classList.toggle('matched', row.matched);
    }
    return this.rows.filter((row) => row.matched).length;
  }

  /** Goes to the next (1) or previous (-1) marked row, round and round. */
  nextMatch(step) {
    const matched = this.rows.filter((row) => row.matched);
    this.matchAt = this.next(matched, this.matchAt === -1 && step < 0 ? 0 : this.matchAt, step);
    return { position: this.matchAt + 1, total: matched.length };
  }

  nextError() {
    const failed = this.rows.filter((row) => row.node.isError);
    this.errorAt = this.next(failed, this.errorAt, 1);
  }

  next(candidates, from, step) {
    if (candidates.length === 0) return -1;
    const at = (from + step + candidates.length) % candidates.length;
    this.tree.reveal(candidates[at]);
    return at;
  }
}
