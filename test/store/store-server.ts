// The store behind its servers, as a test talks to it.
import type { TestContext } from 'node:test';
import type { Routes } from '../../src/runtime/http-routes.ts';
import { createLog } from '../../src/runtime/log.ts';
import { createStore, type Store, startStoreServers } from '../../src/store/main.ts';

export interface Served {
  readonly store: Store;
  /** Base URLs. */
  readonly viewer: string;
  readonly zipkinApi: string;
}

const anyPort = { host: '127.0.0.1', port: 0 };

/** Serves a store that holds the given requests; closed with the test. */
export async function serveStore(t: TestContext, requests: readonly Uint8Array[], pages: Routes = {}): Promise<Served> {
  const store = createStore();
  for (const request of requests) store.accept(request);
  const log = createLog('test', 'silent');
  const servers = await startStoreServers(store, { viewer: anyPort, zipkinApi: anyPort, log, pages });
  t.after(() => servers.close());
  return {
    store,
    viewer: `http://127.0.0.1:${servers.viewer.port}`,
    zipkinApi: `http://127.0.0.1:${servers.zipkinApi.port}`,
  };
}

/** Status and parsed JSON. */
// biome-ignore lint/suspicious/noExplicitAny: answers are asserted on, not used
export async function getJson(url: string): Promise<{ status: number; body: any }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

/** Status and text. */
export async function getText(url: string): Promise<{ status: number; body: string }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
}
