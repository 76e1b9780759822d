// Compiles src/ to dist/ and copies the viewer's files; does nothing when dist/ is newer than every source.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleSidecar } from './bundle.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dist = path.join(root, 'dist');
const stamp = path.join(dist, '.built');

/** The latest change below a folder; a folder's own time tells of removed files. */
function newest(dir) {
  const entries = readdirSync(dir, { withFileTypes: true, recursive: true });
  const paths = entries.map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
  return Math.max(...[dir, ...paths].map((file) => statSync(file).mtimeMs));
}

function isCurrent() {
  const others = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json', 'scripts/bundle.mjs'];
  const changedAt = Math.max(
    newest(path.join(root, 'src')),
    ...others.map((name) => statSync(path.join(root, name)).mtimeMs),
  );
  return existsSync(stamp) && statSync(stamp).mtimeMs >= changedAt;
}

/** Compiles beside dist/ and puts the result in its place: a program that runs from dist/ never sees half a build. */
async function build() {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) {
    process.stderr.write('build: the compiler is not installed; run `npm ci` first\n');
    return 1;
  }
  const startedAt = new Date();
  const cache = path.join(root, '.cache');
  mkdirSync(cache, { recursive: true });
  const next = mkdtempSync(path.join(cache, 'build-'));
  try {
    const args = [tsc, '-p', path.join(root, 'tsconfig.build.json'), '--outDir', path.join(next, 'dist')];
    const result = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (result.status !== 0) return 1;
    for (const asset of ['ui/static', 'runtime/supervisor/supervise.sh']) {
      cpSync(path.join(root, 'src', asset), path.join(next, 'dist', asset), { recursive: true });
    }
    cpSync(path.join(root, 'package.json'), path.join(next, 'package.json'));
    await bundleSidecar(path.join(next, 'dist'));
    chmodSync(path.join(next, 'dist', 'cli', 'main.js'), 0o755);
    writeFileSync(path.join(next, 'dist', '.built'), '');
    utimesSync(path.join(next, 'dist', '.built'), startedAt, startedAt);
    if (existsSync(dist)) renameSync(dist, path.join(next, 'old'));
    renameSync(path.join(next, 'dist'), dist);
  } finally {
    rmSync(next, { recursive: true, force: true });
  }
  return 0;
}

process.exitCode = isCurrent() ? 0 : await build();
