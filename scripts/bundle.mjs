// Makes one file of the sidecar and all its parts, with V8's compiled form beside it: start-up time is what a restart costs.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** Loaded only where they are used: a native library, and the printer of logs on a terminal. */
const external = ['koffi', 'pino-pretty'];
const wrapper = ['(function (exports, require, module, __filename, __dirname) {', '})'];

/** Every module keeps its own idea of where it lies, as a path seen from the bundle. */
function ownPlaces(folder) {
  const replace = (file) => {
    const seen = JSON.stringify(path.relative(folder, file));
    const place = `require("node:url").pathToFileURL(require("node:path").join(__dirname, ${seen})).href`;
    return readFileSync(file, 'utf8').replaceAll('import.meta.url', place);
  };
  return {
    name: 'own-places',
    setup(build) {
      build.onLoad({ filter: /\.js$/ }, ({ path: file }) =>
        file.includes('node_modules') ? undefined : { contents: replace(file), loader: 'js' },
      );
    },
  };
}

/** The flag parser can start other programs, which no command here does: 5 ms of every start saved. */
const withoutChildProcesses = {
  name: 'without-child-processes',
  setup(build) {
    build.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('node_modules/commander/') ? { path: 'child_process', namespace: 'when-used' } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'when-used' }, () => ({
      contents: 'exports.spawn = (...args) => require("child_process").spawn(...args);',
    }));
  },
};

/**
 * Bundles `cli/sidecar.js` of a compiled folder into `bundle/sidecar.cjs` there, with its code cache and the licences of
 * what went in. Does nothing where the bundler is not installed: the compiled files run as they are.
 */
export async function bundleSidecar(dist) {
  const esbuild = await import('esbuild').catch(() => undefined);
  if (esbuild === undefined) return;
  const folder = path.join(dist, 'bundle');
  const outfile = path.join(folder, 'sidecar.cjs');
  const { metafile } = await esbuild.build({
    entryPoints: [path.join(dist, 'cli', 'sidecar.js')],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    external,
    nodePaths: [path.join(root, 'node_modules')],
    supported: { 'dynamic-import': false },
    minifyWhitespace: true,
    banner: { js: wrapper[0] },
    footer: { js: wrapper[1] },
    plugins: [ownPlaces(folder), withoutChildProcesses],
    metafile: true,
    absWorkingDir: root,
    logLevel: 'warning',
  });
  writeFileSync(path.join(folder, 'LICENSES'), licences(Object.keys(metafile.inputs)));
  const { youngGenerationFlag } = await import(path.join(dist, 'runtime', 'supervisor', 'young-generation.js'));
  const made = [compile(outfile, '.cache', []), compile(outfile, '.worker.cache', [youngGenerationFlag])];
  if (made.includes(false)) process.stderr.write('build: no code cache could be made; the sidecar starts without\n');
}

/** V8 takes a cache only from a process with the same flags. */
function compile(file, ending, flags) {
  const result = spawnSync(process.execPath, [...flags, fileURLToPath(import.meta.url), file, ending], {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: 20_000,
    env: { ...process.env, TRACECAR_SUPERVISOR: 'off', NODE_OPTIONS: '' },
  });
  return result.status === 0;
}

/** The licence texts of the packages whose code is in the bundle. */
function licences(inputs) {
  const found = inputs.map((input) => /^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(input)).filter(Boolean);
  const folders = new Map(found.map(([, folder, name]) => [name, path.resolve(root, folder)]));
  return [...folders]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, folder]) => {
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
      const text = file === undefined ? String(license) : readFileSync(path.join(folder, file), 'utf8').trim();
      return `${name} ${version}\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

/** Runs the bundle through a start, a request and a scrape, and keeps what V8 compiled for that. */
async function writeCodeCache(file, ending) {
  const script = new Script(readFileSync(file, 'latin1'), { filename: file });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, path.dirname(file));
  const peer = createServer((incoming, response) => incoming.resume().on('end', () => response.end()));
  const [target, inbound, admin] = [await listen(peer), await freePort(), await freePort()];
  const args = ['--log-level', 'silent', '--schedule-delay', '1', '--otlp-protocol', 'http/protobuf'];
  args.push('--inbound', `${inbound}=127.0.0.1:${target}`, '--admin', `127.0.0.1:${admin}`);
  args.push('--otlp-endpoint', `http://127.0.0.1:${target}`);
  await module.exports.define().parseAsync(args, { from: 'user' });
  for (const url of [`http://127.0.0.1:${inbound}/`, `http://127.0.0.1:${admin}/metrics`]) await get(url);
  await new Promise((resolve) => setTimeout(resolve, 100));
  writeFileSync(`${file}${ending}`, script.createCachedData());
  process.exit(0);
}

async function listen(server) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
}

async function freePort() {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function get(url) {
  return new Promise((resolve, reject) => {
    const call = request(url, { agent: false }, (response) => response.resume().on('end', resolve));
    call.on('error', reject).end();
  });
}

const [, self, file, ending = '.cache'] = process.argv;
if (self === fileURLToPath(import.meta.url) && file !== undefined && existsSync(file))
  await writeCodeCache(file, ending);
