// The time axis above the rows: round ticks over the part of the trace in view, and a drag over it that chooses one.
import { fill, h } from './dom.js';
import { duration } from './format.js';

/** Ticks at round times between two offsets in microseconds, each `{ atUs, share }`, `share` from 0 to 1. */
export function ticks(fromUs, toUs) {
  const lengthUs = toUs - fromUs;
  if (lengthUs <= 0) return [{ atUs: fromUs, share: 0 }];
  const step = roundStep(lengthUs / 7);
  const result = [];
  for (let index = Math.max(0, Math.ceil(fromUs / step - 1e-9)); index * step <= toUs + lengthUs * 1e-4; index++) {
    result.push({ atUs: index * step, share: Math.min(1, Math.max(0, (index * step - fromUs) / lengthUs)) });
  }
  return result;
}

/** The round step (1, 2, 2.5, 5 times a power of ten; 1, 2, 5, 10, 15, 30 of minutes and hours) next to `us`. */
function roundStep(us) {
  const minute = 60e6;
  if (us > minute / 2) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1440].map((minutes) => minutes * minute);
    return steps.find((step) => step >= us) ?? Math.ceil(us / (1440 * minute)) * 1440 * minute;
  }
  const power = 10 ** Math.floor(Math.log10(us));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= us) * power;
  return Math.max(1, Math.round(step * 10) / 10);
}

/**
 * The axis row. `choose(fromShare, toShare)` is called with the part of the view that was dragged over.
 * @returns `{ element, draw(fromUs, toUs) }`, offsets from the trace's start; `draw` gives back the ticks
 */
export function timeAxis(choose) {
  const scale = h('div', { class: 'scale', role: 'columnheader', title: 'Drag to zoom' });
  const names = h('div', { class: 'name-head', role: 'columnheader' }, 'Service and operation');
  zoomByDrag(scale, choose);
  return {
    element: h('div', { class: 'axis', role: 'row' }, names, h('div', { class: 'scale-room' }, scale)),
    draw(fromUs, toUs) {
      const marks = ticks(fromUs, toUs);
      const tick = ({ atUs, share }) =>
        h('span', { class: 'tick', style: { left: `${share * 100}%` } }, duration(atUs));
      fill(scale, marks.map(tick));
      scale.setAttribute('aria-label', `Time, from ${duration(fromUs)} to ${duration(toUs)}`);
      return marks;
    },
  };
}

/** A shorter drag is a click that slipped. */
const leastPixels = 5;

function zoomByDrag(scale, choose) {
  let drag = null;
  const shareAt = (event) => {
    const box = scale.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  scale.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    drag = { share: shareAt(event), x: event.clientX, box: h('div', { class: 'selection' }) };
    scale.append(drag.box);
    scale.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  scale.addEventListener('pointermove', (event) => {
    if (drag === null) return;
    const [from, to] = [drag.share, shareAt(event)].sort((a, b) => a - b);
    drag.box.style.left = `${from * 100}%`;
    drag.box.style.width = `${(to - from) * 100}%`;
  });
  const end = (event) => {
    if (drag === null) return;
    const { share, x, box } = drag;
    drag = null;
    box.remove();
    if (event.type === 'pointercancel' || Math.abs(event.clientX - x) < leastPixels) return;
    const [from, to] = [share, shareAt(event)].sort((a, b) => a - b);
    choose(from, to);
  };
  scale.addEventListener('pointerup', end);
  scale.addEventListener('pointercancel', end);
}
