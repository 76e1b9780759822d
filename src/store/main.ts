// The store's one door: makes a store, and serves its query APIs.
import type { Server } from 'node:http';
import type { Address } from '../runtime/address.ts';
import { createRouteServer, type Routes } from '../runtime/http-routes.ts';
import { close, listen } from '../runtime/listen.ts';
import type { Log } from '../runtime/log.ts';
import { errorMessage } from '../runtime/usage-error.ts';
import { jaegerRoutes } from './jaeger-api.ts';
import { jaegerV3Routes } from './jaeger-v3-api.ts';
import { type StoreLimits, TraceStore } from './trace-store.ts';
import { zipkinRoutes } from './zipkin-api.ts';

export type Store = TraceStore;

/** A store in memory: nothing outlives the process. */
export function createStore(limits: StoreLimits = {}): Store {
  return new TraceStore(limits);
}

export interface StoreServerOptions {
  /** The viewer and Jaeger's query API. */
  readonly viewer: Address;
  /** Zipkin's query API. */
  readonly zipkinApi: Address;
  readonly log: Log;
  /** Routes served beside Jaeger's API: the viewer's pages. */
  readonly pages?: Routes;
}

export interface StoreServers {
  /** The addresses really bound. */
  readonly viewer: Address;
  readonly zipkinApi: Address;
  close(): Promise<void>;
}

/**
 * Serves a store's query APIs.
 * @throws UsageError when a port cannot be bound; then neither stays open
 */
export async function startStoreServers(store: Store, options: StoreServerOptions): Promise<StoreServers> {
  const serve = (routes: Routes) =>
    createRouteServer(routes, (error) => options.log.error({ error: errorMessage(error) }, 'query failed'));
  const viewer = serve({ ...options.pages, ...jaegerRoutes(store), ...jaegerV3Routes(store) });
  const zipkinApi = serve(zipkinRoutes(store));
  const stop = async (...servers: Server[]) => {
    await Promise.all(servers.map((server) => close(server)));
  };
  const viewerAddress = await listen(viewer, options.viewer, 'viewer');
  try {
    const zipkinAddress = await listen(zipkinApi, options.zipkinApi, 'zipkin api');
    return { viewer: viewerAddress, zipkinApi: zipkinAddress, close: () => stop(viewer, zipkinApi) };
  } catch (error) {
    await stop(viewer);
    throw error;
  }
}
