// Which part of a trace's time is in view: the axis shows it, and the style sheet places every bar by it.
import { timeAxis } from './time-axis.js';

export class TimeView {
  constructor(trace, rows) {
    this.trace = trace;
    this.rows = rows;
    this.fromUs = trace.startUs;
    this.toUs = trace.endUs;
    /** Hears `true` when only a part is in view, `false` when all is. */
    this.onZoom = () => {};
    this.axis = timeAxis((from, to) => {
      const lengthUs = this.toUs - this.fromUs;
      this.show(this.fromUs + from * lengthUs, this.fromUs + to * lengthUs);
    });
  }

  /** Draws from now on: `element` gets the custom properties `--from`, `--scale` and `--grid`. */
  attach(element) {
    this.element = element;
    this.showAll();
  }

  showAll() {
    this.show(this.trace.startUs, this.trace.endUs);
  }

  /** Shows only this part of the time; never less than a microsecond. */
  show(fromUs, toUs) {
    const { startUs, endUs, durationUs } = this.trace;
    this.fromUs = fromUs;
    this.toUs = Math.max(toUs, fromUs + 1);
    const total = durationUs || 1;
    const marks = this.axis.draw(this.fromUs - startUs, this.toUs - startUs);
    this.element.style.setProperty('--from', String((this.fromUs - startUs) / total));
    this.element.style.setProperty('--scale', String(total / (this.toUs - this.fromUs)));
    this.element.style.setProperty('--grid', marks.map(gridLine).join(', '));
    for (const { node, element } of this.rows) {
      element.classList.toggle('outside', node.endUs < this.fromUs || node.startUs > this.toUs);
    }
    this.onZoom(this.fromUs > startUs || this.toUs < endUs);
  }
}

/** One vertical line behind all bars. */
function gridLine({ share }) {
  return `linear-gradient(var(--line-soft), var(--line-soft)) ${share * 100}% 0 / 1px 100% no-repeat`;
}
