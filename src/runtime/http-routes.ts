// A small HTTP server of exact-path routes: admin pages, health, metrics, query APIs.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export interface Reply {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface RouteRequest {
  readonly method: string;
  readonly url: URL;
  /** Values of `:name` segments, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly raw: IncomingMessage;
}

export type Route = (request: RouteRequest) => Reply | Promise<Reply>;

/** `{ 'GET /ready': route, 'GET /api/traces/:id': route }`; `:name` matches one segment. */
export type Routes = Readonly<Record<string, Route>>;

/** A JSON reply; bigint-free values only. */
export function json(value: unknown, status = 200, headers?: Readonly<Record<string, string>>): Reply {
  return { status, type: 'application/json', body: JSON.stringify(value), ...(headers ? { headers } : {}) };
}

/** A plain text reply. */
export function text(body: string, status = 200): Reply {
  return { status, type: 'text/plain; charset=utf-8', body };
}

/** Creates (does not start) a server; unknown paths are 404, known paths with another method 405, a throw is 500. */
export function createRouteServer(routes: Routes, onError: (error: unknown) => void = () => {}): Server {
  const table = Object.entries(routes).map(([key, route]) => {
    const [method = 'GET', path = '/'] = key.split(' ');
    return { method, segments: path.split('/'), route };
  });
  return createServer((request, response) => {
    answer(table, request).then(
      (reply) => send(request, response, reply),
      (error: unknown) => {
        onError(error);
        send(request, response, text('internal error\n', 500));
      },
    );
  });
}

interface TableEntry {
  readonly method: string;
  readonly segments: readonly string[];
  readonly route: Route;
}

async function answer(table: readonly TableEntry[], raw: IncomingMessage): Promise<Reply> {
  const url = parseUrl(raw.url ?? '/');
  if (url === undefined) return text('bad request target\n', 400);
  const method = raw.method ?? 'GET';
  let pathKnown = false;
  for (const entry of table) {
    const params = matchPath(entry.segments, url.pathname.split('/'));
    if (params === undefined) continue;
    pathKnown = true;
    if (entry.method === method || (method === 'HEAD' && entry.method === 'GET')) {
      return entry.route({ method, url, params, raw });
    }
  }
  return pathKnown ? text('method not allowed\n', 405) : text('not found\n', 404);
}

function parseUrl(target: string): URL | undefined {
  try {
    return new URL(target, 'http://localhost');
  } catch {
    return undefined;
  }
}

function matchPath(pattern: readonly string[], path: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== path.length) return undefined;
  const params: Record<string, string> = {};
  for (let i = 0; i < pattern.length; i++) {
    const expected = pattern[i]!;
    const actual = path[i]!;
    if (expected.startsWith(':')) {
      try {
        params[expected.slice(1)] = decodeURIComponent(actual);
      } catch {
        return undefined;
      }
    } else if (expected !== actual) return undefined;
  }
  return params;
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  response.writeHead(reply.status ?? 200, {
    'content-type': reply.type ?? 'text/plain; charset=utf-8',
    'content-length': body.byteLength,
    ...reply.headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
