// Picks the page by the path, and shows what went wrong when a page cannot be made.
import { fill, h } from './dom.js';
import { searchPage } from './search-page.js';
import { tracePage } from './trace-page.js';

const page = document.getElementById('page');
const lookup = document.getElementById('lookup');

lookup.addEventListener('submit', (event) => {
  event.preventDefault();
  const id = new FormData(lookup).get('id').trim().toLowerCase();
  location.assign(`/trace/${encodeURIComponent(id)}`);
});

async function show() {
  const trace = /^\/trace\/([^/]+)$/.exec(location.pathname);
  const parameters = new URLSearchParams(location.search);
  try {
    if (trace !== null) await tracePage(page, decodeURIComponent(trace[1]), parameters);
    else await searchPage(page, parameters);
  } catch (error) {
    document.title = 'Error · Tracecar';
    const title = error.notFound ? 'No such trace' : 'This did not work';
    const hint = error.notFound
      ? 'It may not have arrived yet, was not sampled, or had to make room for newer ones: the store is in memory and bounded.'
      : '';
    const again = h('button', { type: 'button', on: { click: () => location.reload() } }, 'Try again');
    fill(
      page,
      h('section', { class: 'notice', role: 'alert' }, [
        h('h1', {}, title),
        h('p', {}, error.message),
        hint && h('p', {}, hint),
        h('p', {}, again, ' ', h('a', { href: '/' }, 'Recent traces')),
      ]),
    );
  }
  page.setAttribute('data-ready', '');
}

await show();
