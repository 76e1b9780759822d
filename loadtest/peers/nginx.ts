// nginx as an untraced reverse proxy: one worker, keep-alive to the upstream.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { findProgram } from '../children.ts';
import { type Peer, startServer } from './peer.ts';

const program = findProgram('nginx');

export const nginx: Peer = {
  name: 'nginx',
  tracing: 'none',
  exports: false,
  missing: program === undefined ? 'nginx is not in PATH' : undefined,
  start: async ({ upstreamPort, folder }) =>
    await startServer('nginx', (port) => {
      const file = path.join(folder, 'nginx.conf');
      const location = `location / { proxy_pass http://upstream; proxy_http_version 1.1; proxy_set_header Connection ""; }`;
      const upstream = `upstream upstream { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000000; }`;
      writeFileSync(file, nginxConfig(folder, port, location, upstream));
      return [program ?? 'nginx', '-p', folder, '-c', file];
    }),
};

/** A complete nginx configuration that keeps all its files in `folder` and never closes an idle connection early. */
export function nginxConfig(
  folder: string,
  port: number,
  location: string,
  upstream = '',
  workerConnections = 1024,
): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${path.join(folder, `nginx-${port}-${kind}`)};`)
    .join('\n');
  return `daemon off;
worker_processes 1;
error_log stderr error;
pid ${path.join(folder, `nginx-${port}.pid`)};
events { worker_connections ${workerConnections}; }
http {
${temporary}
  access_log off;
  default_type text/plain;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_header_timeout 600s;
  client_body_timeout 600s;
  ${upstream}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    ${location}
  }
}
`;
}
