// The rows as a tree: which are folded away, which one has the focus, and the way from one to the next.

/** How far PageUp and PageDown go. */
const pageRows = 15;

/** A row is `{ node, element, details, collapsed, hidden }`. One row at a time is reached by the Tab key. */
export class SpanTree {
  constructor(rows) {
    this.rows = rows;
    this.byNode = new Map(rows.map((row) => [row.node, row]));
    this.active = rows[0];
    this.active.element.tabIndex = 0;
  }

  findByElement(element) {
    return this.rows.find((row) => row.element === element);
  }

  /** Folds or unfolds what is below some rows. */
  collapse(changed, collapsed) {
    for (const row of changed) {
      if (row.node.children.length === 0) continue;
      row.collapsed = collapsed;
      row.element.setAttribute('aria-expanded', String(!collapsed));
    }
    for (const row of this.rows) {
      const parent = this.parentOf(row);
      row.hidden = parent !== undefined && (parent.hidden || parent.collapsed);
      row.element.hidden = row.hidden;
      if (row.details !== null) row.details.hidden = row.hidden;
    }
    let visible = this.active;
    while (visible.hidden) visible = this.parentOf(visible);
    this.activate(visible);
  }

  parentOf(row) {
    return this.byNode.get(row.node.parent);
  }

  activate(row) {
    this.active.element.tabIndex = -1;
    row.element.tabIndex = 0;
    this.active = row;
  }

  focus(row) {
    if (row === undefined) return;
    this.activate(row);
    row.element.focus();
  }

  /** Unfolds the way to a row, and puts it into the middle of the window with the focus on it. */
  reveal(row) {
    const above = [];
    for (let parent = this.parentOf(row); parent !== undefined; parent = this.parentOf(parent)) above.push(parent);
    if (row.hidden) this.collapse(above, false);
    this.activate(row);
    row.element.focus({ preventScroll: true });
    row.element.scrollIntoView({ block: 'center' });
  }

  /** Moves as the keys of a tree grid do (WAI-ARIA); true when `key` is one of them. */
  onKey(key, row) {
    return this.onVerticalKey(key, row) || this.onHorizontalKey(key, row);
  }

  onVerticalKey(key, row) {
    const visible = this.rows.filter((each) => !each.hidden);
    const at = visible.indexOf(row);
    const targets = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: visible.length - 1,
      PageDown: Math.min(at + pageRows, visible.length - 1),
      PageUp: Math.max(at - pageRows, 0),
    };
    if (!Object.hasOwn(targets, key)) return false;
    this.focus(visible[targets[key]]);
    return true;
  }

  onHorizontalKey(key, row) {
    const isOpenBranch = row.node.children.length > 0 && !row.collapsed;
    if (key === 'ArrowRight' && row.collapsed) this.collapse([row], false);
    else if (key === 'ArrowRight' && isOpenBranch) this.focus(this.byNode.get(row.node.children[0]));
    else if (key === 'ArrowLeft' && isOpenBranch) this.collapse([row], true);
    else if (key === 'ArrowLeft') this.focus(this.parentOf(row));
    else return false;
    return true;
  }
}
