// Compiles src/ to dist/ and copies the viewer's files; does nothing when dist/ is newer than every source.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const stamp = path.join(root, 'dist', '.built');

function newest(dir) {
  return Math.max(
    0,
    ...readdirSync(dir, { withFileTypes: true, recursive: true }).map(
      (entry) => statSync(path.join(entry.parentPath ?? entry.path, entry.name)).mtimeMs,
    ),
  );
}

const sources = Math.max(newest(path.join(root, 'src')), statSync(path.join(root, 'tsconfig.build.json')).mtimeMs);
if (!existsSync(stamp) || statSync(stamp).mtimeMs < sources) {
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) {
    process.stderr.write('build: the compiler is not installed; run `npm ci` first\n');
    process.exit(1);
  }
  rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  const result = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.build.json')], { stdio: 'inherit' });
  if (result.status !== 0) process.exit(1);
  const assets = path.join(root, 'src', 'ui', 'static');
  if (existsSync(assets)) cpSync(assets, path.join(root, 'dist', 'ui', 'static'), { recursive: true });
  chmodSync(path.join(root, 'dist', 'cli', 'main.js'), 0o755);
  writeFileSync(stamp, '');
}
