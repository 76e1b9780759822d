// Oracles that are proxies: nginx and HAProxy, each in front of recorders that keep what it passes on.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { sawRefusal, statuses } from './answers.ts';
import { type Recorder, startRecorder } from './upstream-recorder.ts';
import type { Oracle, View } from './view.ts';

/** Streams read at once: a stream that is left waiting for more takes as long as we are patient. */
const laneCount = 8;
/** A proxy that has said nothing for so long waits for more bytes. */
const patienceMs = { usual: 300, patient: 2000 };

interface Lane {
  /** The Unix socket the proxy listens on. */
  readonly socket: string;
  readonly recorder: Recorder;
}

/** Sends bytes through a lane until the proxy has closed the connection, has answered the last request, or waits. */
async function seeThrough({ socket, recorder }: Lane, bytes: string, waitMs: number): Promise<View> {
  const probe = bytes.match(/\/probe-\d+/g)?.at(-1) ?? '';
  const received: Buffer[] = [];
  let lastSignMs = Date.now();
  let closed = false;
  const client = net.connect({ path: socket, allowHalfOpen: true });
  client.on('error', () => {});
  client.on('data', (chunk: Buffer) => {
    received.push(chunk);
    lastSignMs = Date.now();
  });
  for (const event of ['end', 'close']) {
    client.on(event, () => {
      closed = true;
    });
  }
  await once(client, 'connect');
  client.write(Buffer.from(bytes, 'latin1'));
  await eventually('the proxy has read what it will read', () => {
    if (closed || Date.now() - lastSignMs > waitMs) return true;
    const { completed } = recorder;
    return completed.includes(probe) && statuses(Buffer.concat(received)).length >= completed.length;
  });
  client.destroy();
  return { requests: recorder.take(), refused: sawRefusal(Buffer.concat(received)), closed };
}

/** Starts a proxy by `command` and hands its lanes out, one stream at a time each. */
async function startProxyOracle(
  t: TestContext,
  name: string,
  folder: string,
  configure: (lanes: readonly { readonly listen: string; readonly upstream: string }[]) => string,
  command: (config: string) => readonly [string, ...string[]],
): Promise<Oracle> {
  mkdirSync(folder, { recursive: true });
  const lanes: Lane[] = [];
  const sockets = Array.from({ length: laneCount }, (_, i) => ({
    listen: path.join(folder, `listen-${i}`),
    upstream: path.join(folder, `upstream-${i}`),
  }));
  for (const { listen, upstream } of sockets) {
    lanes.push({ socket: listen, recorder: await startRecorder(t, upstream) });
  }
  const config = path.join(folder, 'proxy.conf');
  writeFileSync(config, configure(sockets));
  const [program, ...args] = command(config);
  const child = spawn(program, args, { stdio: 'ignore', cwd: folder });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await eventually(`${name} listens`, () => sockets.every(({ listen }) => existsSync(listen)));
  const free = [...lanes];
  const queue: ((lane: Lane) => void)[] = [];
  return {
    name,
    async see(bytes: string, patient = false): Promise<View> {
      const lane = free.pop() ?? (await new Promise<Lane>((resolve) => queue.push(resolve)));
      try {
        return await seeThrough(lane, bytes, patient ? patienceMs.patient : patienceMs.usual);
      } finally {
        const next = queue.shift();
        if (next === undefined) free.push(lane);
        else next(lane);
      }
    },
  };
}

function version(command: string, pattern: RegExp): string {
  const { stdout, stderr } = spawnSync(command, ['-v'], { encoding: 'utf8' });
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? '?';
}

/** nginx with its defaults, bodies passed on as they come. `folder` is made and must be short: sockets live in it. */
export function startNginxOracle(t: TestContext, folder: string): Promise<Oracle> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path tmp-${name};`,
  );
  return startProxyOracle(
    t,
    `nginx ${version('nginx', /nginx\/([\d.]+)/)}`,
    folder,
    (lanes) => `
      daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log;
      events { worker_connections 256; }
      http {
        access_log off; client_max_body_size 0; ${temporary.join(' ')}
        proxy_http_version 1.1; proxy_request_buffering off; proxy_set_header X-Request-Line $request;
        ${lanes
          .map(
            ({ listen, upstream }) =>
              `server { listen unix:${listen}; location / { proxy_pass http://unix:${upstream}; } }`,
          )
          .join('\n')}
      }`,
    (config) => ['nginx', '-e', 'error.log', '-p', folder, '-c', config],
  );
}

/** HAProxy with its defaults, a new connection to the server for each request. */
export function startHaproxyOracle(t: TestContext, folder: string): Promise<Oracle> {
  return startProxyOracle(
    t,
    `HAProxy ${version('haproxy', /version ([\d.]+)/)}`,
    folder,
    (lanes) => `
defaults
  mode http
  option http-server-close
  http-reuse never
  timeout connect 5s
  timeout client 30s
  timeout server 30s
${lanes.map(({ listen, upstream }, i) => `listen lane${i}\n  bind unix@${listen}\n  server s unix@${upstream}`).join('\n')}
`,
    (config) => ['haproxy', '-db', '-f', config],
  );
}
