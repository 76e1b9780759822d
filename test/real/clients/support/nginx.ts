// A real nginx with files, compression, a password, a size limit and, in front of an application, a proxy.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { freePort, type Server, startServer, temporaryFolder } from './commands.ts';

export interface Nginx extends Server {
  /** Served at `/`. */
  readonly files: string;
}

/**
 * Starts nginx as the current user. `/private` wants a password, `/limited` takes 1 KiB, `/app` is the application
 * on port `application`.
 * @param listen flags of the port it listens on, `ssl` for one
 * @param lines for the `server` block
 */
export async function startNginx(
  t: TestContext,
  application: number,
  listen = '',
  lines: readonly string[] = [],
): Promise<Nginx> {
  const folder = temporaryFolder(t, 'nginx');
  const files = path.join(folder, 'files');
  mkdirSync(files);
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${path.join(folder, name)};`,
  );
  const config = `
daemon off; master_process off; pid ${path.join(folder, 'pid')}; error_log stderr notice;
events { worker_connections 1024; }
http {
  ${temporary.join('\n  ')}
  access_log off; keepalive_requests 1000000; keepalive_timeout 60s;
  default_type text/plain; if_modified_since before;
  gzip on; gzip_min_length 1; gzip_types text/plain;
  server {
    listen 127.0.0.1:${port} ${listen};
    ${lines.join('\n    ')}
    root ${files}; client_max_body_size 64m;
    location /private { auth_basic shop; auth_basic_user_file ${path.join(folder, 'users')};
      location /private/upload { proxy_pass http://127.0.0.1:${application}; } }
    location /limited { client_max_body_size 1k; proxy_pass http://127.0.0.1:${application}; }
    location /app { proxy_pass http://127.0.0.1:${application}; proxy_http_version 1.1; }
  }
}
`;
  writeFileSync(path.join(folder, 'users'), 'somebody:{PLAIN}secret\n');
  writeFileSync(path.join(folder, 'nginx.conf'), config);
  const args = ['-c', path.join(folder, 'nginx.conf'), '-p', folder, '-e', 'stderr'];
  const server = await startServer(t, port, 'nginx', args, { endSignal: 'SIGQUIT' });
  return { ...server, files };
}
