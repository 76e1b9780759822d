// One trace: what it is, and its waterfall.
import { read } from './api.js';
import { serviceColours } from './colours.js';
import { fill, h } from './dom.js';
import { count, dateTime, duration } from './format.js';
import { buildTrace } from './trace-model.js';
import { serviceChip } from './trace-row.js';
import { Waterfall } from './waterfall.js';

/** Draws the page; `span` in the parameters names a span to open and to scroll to. */
export async function tracePage(page, traceId, parameters) {
  const [data] = await read(`/api/traces/${encodeURIComponent(traceId)}`);
  const trace = buildTrace(data);
  const colours = serviceColours([...trace.services.keys()]);
  document.title = `${trace.root.service}: ${trace.root.name} · Tracecar`;
  const chart = new Waterfall(trace, colours);
  fill(page, h('div', { class: 'trace' }, heading(trace, colours), toolbar(chart), chart.element));
  const chosen = parameters.get('span');
  if (chosen !== null) chart.reveal(chosen);
}

function heading(trace, colours) {
  const id = encodeURIComponent(trace.traceId);
  const fact = (label, value, more = {}) => h('div', more, h('dt', {}, label), h('dd', {}, value));
  const orphans = trace.roots.filter((node) => node.missingParent !== null).length;
  return h(
    'header',
    { class: 'trace-head' },
    h(
      'div',
      { class: 'trace-name' },
      h(
        'h1',
        {},
        h('span', { class: 'service', style: { '--service': colours.get(trace.root.service) } }, trace.root.service),
        ' ',
        h('span', { class: 'trace-title-operation' }, trace.root.name),
      ),
      h(
        'p',
        {},
        h('code', { class: 'id' }, trace.traceId),
        h('a', { href: `/api/traces/${id}?prettyPrint=true` }, 'Jaeger JSON'),
        h('a', { href: `/api/v3/traces/${id}` }, 'OTLP JSON'),
      ),
    ),
    h(
      'dl',
      { class: 'facts' },
      fact('Start', dateTime(trace.startUs)),
      fact('Duration', duration(trace.durationUs)),
      fact('Spans', trace.nodes.length.toLocaleString('en-US')),
      fact('Services', String(trace.services.size)),
      fact('Depth', String(trace.depth)),
      fact('Errors', trace.errorCount > 0 ? `⚠ ${trace.errorCount}` : '0', {
        class: trace.errorCount > 0 ? 'errors' : '',
      }),
    ),
    h(
      'p',
      { class: 'legend', 'aria-label': 'Services' },
      [...trace.services].map((entry) => serviceChip(entry, colours)),
    ),
    orphans > 0 &&
      h(
        'p',
        { class: 'warning' },
        `⚠ This trace is incomplete: the parent of ${count(orphans, 'span')} is missing. Such spans stand at the top level, marked “parent missing”.`,
      ),
  );
}

function toolbar(chart) {
  const whole = button('Whole trace', () => chart.time.showAll(), 'Leave the zoom (Escape)');
  whole.hidden = true;
  chart.time.onZoom = (isZoomed) => {
    whole.hidden = !isZoomed;
  };
  return h(
    'div',
    { class: 'toolbar', role: 'toolbar', 'aria-label': 'Waterfall' },
    findBox(chart),
    h('span', { class: 'gap' }),
    h('span', { class: 'hint' }, 'Drag over the time axis, or press z on a row, to zoom'),
    whole,
    button('Next error', () => chart.nextError(), 'Go to the next span that failed'),
    button('Expand all', () => chart.collapseAll(false)),
    button('Collapse all', () => chart.collapseAll(true)),
  );
}

/** The field to find text in the spans, the buttons to go from match to match, and where one is. */
function findBox(chart) {
  const found = h('output', { for: 'find' });
  const go = (step) => {
    const { position, total } = chart.nextMatch(step);
    found.value = total === 0 ? 'no match' : `${position} of ${total}`;
  };
  const input = () => {
    const total = chart.find(field.value);
    const told = total === 1 ? '1 match' : `${total || 'no'} matches`;
    found.value = field.value.trim() === '' ? '' : told;
  };
  const keydown = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    go(event.shiftKey ? -1 : 1);
  };
  const field = h('input', {
    id: 'find',
    type: 'search',
    placeholder: 'Find: service, operation, attribute, id',
    autocomplete: 'off',
    spellcheck: 'false',
    on: { input, keydown },
  });
  return [
    h('label', { class: 'hidden', for: 'find' }, 'Find in this trace'),
    field,
    button('↑', () => go(-1), 'Previous match (Shift+Enter)'),
    button('↓', () => go(1), 'Next match (Enter)'),
    found,
  ];
}

function button(label, click, title = '') {
  return h('button', { type: 'button', title, on: { click } }, label);
}
