// The list of traces: a form whose state is the address, and one row a trace.
import { read } from './api.js';
import { serviceColours } from './colours.js';
import { fill, h } from './dom.js';
import { count } from './format.js';
import { searchForm } from './search-form.js';
import { searchPath } from './search-query.js';
import { buildTrace } from './trace-model.js';
import { traceRow } from './trace-row.js';

const orders = {
  newest: ['Newest first', (a, b) => b.startUs - a.startUs],
  longest: ['Longest first', (a, b) => b.durationUs - a.durationUs],
  shortest: ['Shortest first', (a, b) => a.durationUs - b.durationUs],
  spans: ['Most spans first', (a, b) => b.nodes.length - a.nodes.length],
  errors: ['Most errors first', (a, b) => b.errorCount - a.errorCount],
};

/** Draws the page for the parameters of its address. */
export async function searchPage(page, parameters) {
  document.title = 'Traces · Tracecar';
  const services = (await read('/api/services')) ?? [];
  const form = await searchForm(parameters, services);
  const results = h('section', { class: 'results', 'aria-label': 'Traces', 'aria-busy': 'true' }, 'Searching…');
  fill(page, h('div', { class: 'search' }, form, results));
  try {
    const traces = ((await read(searchPath(parameters, Date.now()))) ?? []).map(buildTrace);
    drawResults(results, traces, services);
  } catch (error) {
    fill(
      results,
      h('div', { class: 'notice', role: 'alert' }, h('h2', {}, 'The search failed'), h('p', {}, error.message)),
    );
  }
  results.removeAttribute('aria-busy');
}

function drawResults(results, traces, services) {
  if (traces.length === 0) return fill(results, nothing(services));
  const colours = serviceColours(services.concat(traces.flatMap((trace) => [...trace.services.keys()])));
  const longestUs = Math.max(...traces.map((trace) => trace.durationUs));
  const nowUs = Date.now() * 1000;
  const list = h('ol', { class: 'traces' });
  const draw = (order) => {
    const sorted = [...traces].sort(orders[order][1]);
    fill(
      list,
      sorted.map((trace) => h('li', {}, traceRow(trace, { colours, longestUs, nowUs }))),
    );
  };
  const options = Object.entries(orders).map(([value, [label]]) => h('option', { value }, label));
  const select = h('select', { id: 'order', on: { change: () => draw(select.value) } }, options);
  const failed = traces.filter((trace) => trace.errorCount > 0).length;
  const summary = [count(traces.length, 'trace'), failed > 0 ? `, ${failed} with errors` : ''];
  const bar = h('div', { class: 'results-bar' }, h('h1', {}, summary), h('label', { for: 'order' }, 'Sort '), select);
  fill(results, bar, list);
  draw('newest');
}

function nothing(services) {
  if (services.length > 0) {
    return h(
      'div',
      { class: 'notice' },
      h('h1', {}, 'No trace matches'),
      h(
        'p',
        {},
        'Every condition has to hold for one and the same span. Try a longer time range, or fewer conditions.',
      ),
    );
  }
  return h(
    'div',
    { class: 'notice' },
    h('h1', {}, 'No traces yet'),
    h(
      'p',
      {},
      'Send spans to the collector over OTLP (gRPC on port 4317, HTTP on 4318); they appear here within a second or two.',
    ),
    h('p', {}, h('button', { type: 'button', on: { click: () => location.reload() } }, 'Look again')),
  );
}
