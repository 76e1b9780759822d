// The search form. It is sent as a plain GET, so that a search is an address to keep and to share.
import { read } from './api.js';
import { h } from './dom.js';
import { defaultLimit, ranges } from './search-query.js';

/** The form with the given parameters filled in; the operations follow the service. */
export async function searchForm(parameters, services) {
  const value = (name) => parameters.get(name) ?? '';
  const service = select('service', 'Service', [['', 'All services'], ...same(services)], value('service'));
  const operation = select('operation', 'Operation', [['', 'All operations']], '');
  const operationSelect = operation.querySelector('select');
  await fillOperations(operationSelect, value('service'), value('operation'));
  service.querySelector('select').addEventListener('change', (event) => {
    fillOperations(operationSelect, event.target.value, '').catch(() => {});
  });
  const hint = 'All must hold for one span: http.response.status_code=503 peer="a b"';
  return h(
    'form',
    {
      class: 'search-form',
      action: '/search',
      method: 'get',
      'aria-label': 'Search traces',
      on: { submit: dropEmpty },
    },
    service,
    operation,
    input('tags', 'Attributes', value('tags'), { placeholder: 'key=value key="two words"', title: hint }),
    h(
      'label',
      { class: 'check' },
      h('input', { type: 'checkbox', name: 'errors', value: '1', checked: value('errors') !== '' }),
      'Only with errors',
    ),
    h(
      'div',
      { class: 'pair' },
      input('min', 'Min duration', value('min'), durationField('100ms')),
      input('max', 'Max duration', value('max'), durationField('1.2s')),
    ),
    h(
      'div',
      { class: 'pair' },
      select('lookback', 'Time', ranges, value('lookback') || 'all'),
      input('limit', 'Limit', value('limit') || String(defaultLimit), { type: 'number', min: '1', max: '1500' }),
    ),
    h('button', { class: 'primary' }, 'Find traces'),
  );
}

/** An address without empty parameters is easier to read. */
function dropEmpty(event) {
  for (const field of event.target.elements) if (field.name && field.value === '') field.disabled = true;
  // A page that comes back from the browser's history has its fields again.
  addEventListener('pageshow', () => {
    for (const field of event.target.elements) field.disabled = false;
  });
}

async function fillOperations(element, service, chosen) {
  const names = service === '' ? [] : ((await read(`/api/services/${encodeURIComponent(service)}/operations`)) ?? []);
  const known = chosen === '' || names.includes(chosen) ? names : [chosen, ...names];
  element.replaceChildren(...options([['', 'All operations'], ...same(known)], chosen));
  element.disabled = known.length === 0;
}

function durationField(placeholder) {
  return {
    placeholder,
    pattern: '\\s*(\\d+(\\.\\d+)?(ns|us|µs|ms|s|m|h))+\\s*',
    title: 'A duration: 500us, 100ms, 1.2s, 1m30s',
  };
}

function same(values) {
  return values.map((value) => [value, value]);
}

function options(pairs, chosen) {
  return pairs.map(([value, label]) => h('option', { value, selected: value === chosen }, label));
}

function select(name, label, pairs, chosen) {
  const known = chosen === '' || pairs.some(([value]) => value === chosen) ? pairs : [...pairs, [chosen, chosen]];
  const id = `field-${name}`;
  return h(
    'div',
    { class: 'field' },
    h('label', { for: id }, label),
    h('select', { id, name }, options(known, chosen)),
  );
}

function input(name, label, value, attributes) {
  const id = `field-${name}`;
  const plain = { id, name, value, autocomplete: 'off', spellcheck: 'false' };
  return h('div', { class: 'field' }, h('label', { for: id }, label), h('input', { ...plain, ...attributes }));
}
