// The viewer's routes: its pages and their files, read once, each with its type, an ETag and a strict policy.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Reply, Route, Routes } from '../runtime/http-routes.ts';

const folder = fileURLToPath(new URL('./static/', import.meta.url));

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Everything comes from here and nothing is inline, so a name that smuggles markup in has nothing to run. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** `/`, `/search` and `/trace/:id` (one page, which reads its own address), and `/static/:file`. */
export function viewerRoutes(): Routes {
  const files = new Map(readdirSync(folder).map((name) => [name, fileRoute(name)]));
  const page = files.get('index.html')!;
  const missing: Route = () => ({ status: 404, body: 'not found\n' });
  return {
    'GET /': page,
    'GET /search': page,
    'GET /trace/:id': page,
    'GET /favicon.ico': files.get('icon.svg')!,
    'GET /static/:file': (request) => (files.get(request.params.file ?? '') ?? missing)(request),
  };
}

/** Serves one file. `no-cache` lets a browser keep it but ask each time, which costs a 304 and is never stale. */
function fileRoute(name: string): Route {
  const body = readFileSync(path.join(folder, name));
  const type = types[path.extname(name)] ?? 'application/octet-stream';
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const headers = {
    etag,
    'cache-control': 'no-cache',
    'content-security-policy': contentSecurityPolicy,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  };
  const whole: Reply = { type, headers, body };
  // RFC 9110, 15.4.5 and 8.6: a 304 repeats these headers; a content-length in it would be that of the 200.
  const unchanged: Reply = {
    status: 304,
    type,
    headers: { ...headers, 'content-length': String(body.byteLength) },
    body: '',
  };
  return ({ raw }) => (matchesEtag(raw.headers['if-none-match'], etag) ? unchanged : whole);
}

/** RFC 9110, 13.1.2: a list of tags, weak ones too, or `*`. */
function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  return (ifNoneMatch ?? '').split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()));
}
