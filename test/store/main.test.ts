import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { createLog } from '../../src/runtime/log.ts';
import { createStore, startStoreServers } from '../../src/store/main.ts';
import { request } from './requests.ts';
import { getJson, getText, serveStore } from './store-server.ts';

const anyPort = { host: '127.0.0.1', port: 0 };
const log = createLog('test', 'silent');

test('a port that is taken is one clear error, and the other port is given back', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as { port: number };
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const viewer = { host: '127.0.0.1', port: (free.address() as { port: number }).port };
  free.close();
  await once(free, 'close');
  const zipkinApi = { host: '127.0.0.1', port };
  await assert.rejects(startStoreServers(createStore(), { viewer, zipkinApi, log }), {
    name: 'UsageError',
    message: new RegExp(`^zipkin api: cannot listen on 127.0.0.1:${port}: the port is taken`),
  });
  const again = await startStoreServers(createStore(), { viewer, zipkinApi: anyPort, log });
  assert.equal(again.viewer.port, viewer.port);
  await again.close();
});

test('what is accepted after the start is found at once', async (t) => {
  const { store, viewer, zipkinApi } = await serveStore(t, []);
  assert.deepEqual((await getJson(`${viewer}/api/services`)).body.data, null);
  assert.deepEqual((await getJson(`${zipkinApi}/api/v2/services`)).body, []);
  store.accept(request('shop', { name: 'GET /' }));
  assert.deepEqual((await getJson(`${viewer}/api/services`)).body.data, ['shop']);
  assert.deepEqual((await getJson(`${zipkinApi}/api/v2/services`)).body, ['shop']);
});

test('pages stand beside the query API; other paths are 404, other methods 405, HEAD is a GET without a body', async (t) => {
  const { viewer, zipkinApi } = await serveStore(t, [], { 'GET /': () => ({ body: 'a page' }) });
  assert.deepEqual(await getText(`${viewer}/`), { status: 200, body: 'a page' });
  assert.equal((await fetch(`${zipkinApi}/`)).status, 404);
  assert.equal((await fetch(`${viewer}/api/nothing`)).status, 404);
  assert.equal((await fetch(`${viewer}/api/services`, { method: 'POST' })).status, 405);
  const head = await fetch(`${viewer}/api/services`, { method: 'HEAD' });
  const get = await fetch(`${viewer}/api/services`);
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), String((await get.text()).length));
  assert.equal(await head.text(), '');
});
