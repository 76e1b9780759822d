// The sidecar's admin pages: readiness, metrics, the effective configuration, the open connections, and what it can be told.
import { json, type Reply, type Route, type RouteRequest, type Routes, text } from '../runtime/http-routes.ts';
import { isLevel, type Log, levels } from '../runtime/log.ts';
import type { Worker } from '../runtime/supervisor/worker.ts';
import type { ConfigDump } from './config-dump.ts';

import type { Exporter } from './export/exporter.ts';
import type { HeaderForwarding } from './header-forwarding.ts';
import type { ConnectionDescription, Connections } from './open-connection.ts';
import type { Siblings } from './siblings.ts';

export interface AdminSources {
  readonly isReady: () => boolean;
  /** Loaded soon after the start: listening comes first. */
  readonly metrics: () => Promise<Metrics>;
  readonly configDump: () => ConfigDump;
  /** What the rules lead here, as lines; none without `--capture`. */
  readonly captureLines: () => Promise<readonly string[]>;
  readonly connections: Connections;
  readonly forwarding: HeaderForwarding;
  readonly exporter: Exporter;
  readonly log: Log;
  /** Not ready from now on; accepts on. */
  readonly startDraining: () => void;
  /** Drains and ends the process. */
  readonly quit: () => void;
  readonly worker: Worker;
}

/** The metrics of this process. */
export interface Metrics {
  readonly contentType: string;
  values(): Promise<readonly object[]>;
  /** The page for Prometheus, of this process and of what others read of theirs. */
  page(others: readonly (readonly object[])[]): Promise<string>;
}

/** Connections are listed up to here; the count is always exact. */
const maxListed = 1000;

interface ConnectionsPage {
  readonly forwards_headers: unknown;
  readonly span_delivery: { readonly queued: number; readonly last_failure: string | null };
  readonly count: number;
  readonly connections: readonly (ConnectionDescription & { readonly worker?: number })[];
}

interface Ready {
  readonly ready: boolean;
}

/** What one worker answers the others. */
export function siblingRoutes(sources: AdminSources): Routes {
  return {
    'GET /ready': () => json({ ready: sources.isReady() } satisfies Ready),
    'GET /metrics': async () => json(await (await sources.metrics()).values()),
    'GET /connections': () => json(connectionsPage(sources)),
    'POST /logging': (request) => told(() => setLevel(sources, request)),
    'POST /drain': () => told(sources.startDraining),
    'POST /quitquitquit': () => told(sources.quit),
  };
}

/** The routes of the admin server; with several workers each answers for all, and says who did not. */
export function adminRoutes(sources: AdminSources, siblings: Siblings): Routes {
  const metrics = () => metricsReply(sources, siblings);
  return {
    'GET /ready': () => readyReply(sources, siblings),
    'GET /stats/prometheus': metrics,
    'GET /metrics': metrics,
    'GET /config_dump': () => json(sources.configDump()),
    'GET /connections': async () => {
      const { answers, missing } = await siblings.ask('GET', '/connections');
      const pages = [[sources.worker.index, connectionsPage(sources)], ...answers] as [number, ConnectionsPage][];
      return json(sources.worker.workers === 1 ? pages[0]![1] : merged(pages, missing));
    },
    'POST /logging': fromHere(async (request) => {
      const problem = levelProblem(request);
      if (problem !== undefined) return text(problem, 400);
      setLevel(sources, request);
      return answered(await siblings.ask('POST', `/logging${request.url.search}`), { level: sources.log.level });
    }),
    'POST /drain': fromHere(async () => {
      sources.startDraining();
      const state = { state: 'draining', ready: false, connections: sources.connections.size };
      return answered(await siblings.ask('POST', '/drain'), state);
    }),
    'POST /quitquitquit': fromHere(async () => {
      const asked = await siblings.ask('POST', '/quitquitquit');
      sources.quit();
      return answered(asked, { state: 'quitting', connections: sources.connections.size });
    }),
  };
}

/** Changes are taken from this machine (in a pod: from its own containers) only. */
function fromHere(route: Route): Route {
  return (request) => {
    const peer = request.raw.socket.remoteAddress ?? '';
    if (!/^(::ffff:)?127\.|^::1$/.test(peer)) return text('only from a loopback address\n', 403);
    return route(request);
  };
}

function told(act: () => void): Reply {
  act();
  return json({ done: true });
}

function answered({ missing }: { readonly missing: readonly number[] }, state: object): Reply {
  return json(missing.length === 0 ? state : { ...state, workers_missing: missing });
}

function setLevel({ log }: AdminSources, { url }: RouteRequest): void {
  log.level = url.searchParams.get('level') ?? log.level;
}

function levelProblem({ url }: RouteRequest): string | undefined {
  const level = url.searchParams.get('level');
  if (level !== null && isLevel(level)) return undefined;
  const given = level === null ? 'no level given' : `"${level}" is not a level`;
  return `${given}; use level=${levels.join('|')}\n`;
}

/**
 * Ready is who takes connections, with capture also where rules are missing: that is said in lines of its own, by a
 * warning and a metric. Traffic goes to the workload without the rules, and is better served untraced than not at all;
 * the rules may come later, too, and a pod that is not ready gets none.
 */
async function readyReply(sources: AdminSources, siblings: Siblings): Promise<Reply> {
  const { answers } = await siblings.ask('GET', '/ready');
  const ready = sources.isReady() && ([...answers.values()] as Ready[]).every((answer) => answer.ready);
  if (!ready) return text('DRAINING\n', 503);
  return text(['LIVE', ...(await sources.captureLines()), ''].join('\n'));
}

async function metricsReply(sources: AdminSources, siblings: Siblings): Promise<Reply> {
  const metrics = await sources.metrics();
  const { answers, missing } = await siblings.ask('GET', '/metrics');
  const page = await metrics.page([...answers.values()] as object[][]);
  const leftOut = missing.map((worker) => `# worker ${worker} did not answer and is left out\n`);
  return { type: metrics.contentType, body: leftOut.join('') + page };
}

function connectionsPage({ connections, forwarding, exporter }: AdminSources): ConnectionsPage {
  const listed = [...connections].slice(0, maxListed).map((connection) => connection.describe());
  return {
    forwards_headers: forwarding.report(),
    span_delivery: { queued: exporter.queued, last_failure: exporter.lastFailure || null },
    count: connections.size,
    connections: listed,
  };
}

function merged(pages: readonly [number, ConnectionsPage][], missing: readonly number[]): object {
  const all = pages.map(([, page]) => page);
  const sum = (read: (page: ConnectionsPage) => number) => all.reduce((total, page) => total + read(page), 0);
  return {
    forwards_headers: all[0]!.forwards_headers,
    span_delivery: {
      queued: sum((page) => page.span_delivery.queued),
      last_failure: all.map((page) => page.span_delivery.last_failure).find((failure) => failure !== null) ?? null,
    },
    count: sum((page) => page.count),
    connections: pages.flatMap(([worker, page]) => page.connections.map((each) => ({ worker, ...each }))),
    workers_missing: missing,
  };
}
