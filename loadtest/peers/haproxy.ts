// HAProxy as an untraced reverse proxy: one thread, connections to the upstream reused.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { findProgram } from '../children.ts';
import { type Peer, startServer } from './peer.ts';

const program = findProgram('haproxy');

export const haproxy: Peer = {
  name: 'HAProxy',
  tracing: 'none',
  exports: false,
  missing: program === undefined ? 'haproxy is not in PATH' : undefined,
  start: async ({ upstreamPort, folder }) =>
    await startServer('HAProxy', (port) => {
      const file = path.join(folder, 'haproxy.cfg');
      writeFileSync(file, config(port, upstreamPort));
      return [program ?? 'haproxy', '-db', '-f', file];
    }),
};

function config(port: number, upstreamPort: number): string {
  return `global
  nbthread 1
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend load
  bind 127.0.0.1:${port}
  default_backend upstream
backend upstream
  http-reuse always
  server upstream 127.0.0.1:${upstreamPort}
`;
}
