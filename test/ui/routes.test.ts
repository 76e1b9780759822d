import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { viewerRoutes } from '../../src/ui/routes.ts';
import { serveStore } from '../store/store-server.ts';

const folder = fileURLToPath(new URL('../../src/ui/static/', import.meta.url));
const files = readdirSync(folder);

async function serve(t: Parameters<typeof serveStore>[0]): Promise<string> {
  return (await serveStore(t, [], viewerRoutes())).viewer;
}

test('deep links are the page itself', async (t) => {
  const viewer = await serve(t);
  const page = readFileSync(`${folder}index.html`, 'utf8');
  for (const path of ['/', '/search', '/search?service=a%20b', `/trace/${'a'.repeat(32)}`, '/trace/x?span=1']) {
    const response = await fetch(`${viewer}${path}`);
    assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'text/html; charset=utf-8'], path);
    assert.equal(await response.text(), page);
  }
});

test('every file has its type, an ETag and the headers that keep it safe', async (t) => {
  const viewer = await serve(t);
  const types: Record<string, string> = {
    html: 'text/html; charset=utf-8',
    css: 'text/css; charset=utf-8',
    js: 'text/javascript; charset=utf-8',
    svg: 'image/svg+xml',
  };
  const etags = new Set<string>();
  for (const file of files) {
    const response = await fetch(`${viewer}/static/${file}`);
    const { headers } = response;
    assert.equal(response.status, 200, file);
    assert.equal(headers.get('content-type'), types[file.split('.').at(-1)!], file);
    assert.equal(headers.get('cache-control'), 'no-cache');
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.match(
      headers.get('content-security-policy') ?? '',
      /default-src 'none'; script-src 'self'; style-src 'self'/,
    );
    assert.doesNotMatch(headers.get('content-security-policy') ?? '', /unsafe/);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), readFileSync(`${folder}${file}`), file);
    etags.add(headers.get('etag') ?? '');
  }
  assert.equal(etags.size, files.length);
});

test('a known ETag is answered 304 without a body, another one with the file', async (t) => {
  const viewer = await serve(t);
  const url = `${viewer}/static/app.js`;
  const first = await fetch(url);
  const etag = first.headers.get('etag') ?? '';
  assert.match(etag, /^"[\w-]{22}"$/);
  for (const value of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const response = await fetch(url, { headers: { 'if-none-match': value } });
    assert.deepEqual([response.status, response.headers.get('etag'), await response.text()], [304, etag, ''], value);
  }
  const other = await fetch(url, { headers: { 'if-none-match': '"other"' } });
  assert.deepEqual([other.status, await other.text()], [200, await first.text()]);
});

test('HEAD has the headers of GET and no body', async (t) => {
  const viewer = await serve(t);
  for (const path of ['/', '/trace/abc', '/static/base.css']) {
    const head = await fetch(`${viewer}${path}`, { method: 'HEAD' });
    const get = await fetch(`${viewer}${path}`);
    assert.equal(head.headers.get('content-length'), String(Buffer.byteLength(await get.text())));
    assert.equal(head.headers.get('etag'), get.headers.get('etag'));
    assert.equal(await head.text(), '');
  }
});

test('nothing outside the folder is served', async (t) => {
  const viewer = await serve(t);
  for (const path of ['/static/nothing.js', '/static/..%2froutes.ts', '/static/%2e%2e%2froutes.ts', '/static/', '/x']) {
    assert.equal((await fetch(`${viewer}${path}`)).status, 404, path);
  }
});

test('the page has nothing inline, nothing from elsewhere, and no module makes markup from text', () => {
  const page = readFileSync(`${folder}index.html`, 'utf8');
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?:\/\//);
  for (const file of files.filter((name) => name.endsWith('.js'))) {
    const source = readFileSync(`${folder}${file}`, 'utf8');
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/, file);
    for (const [, specifier] of source.matchAll(/from '([^']+)'/g)) {
      assert.ok(files.includes(specifier!.replace('./', '')), `${file} imports ${specifier}`);
    }
  }
});
