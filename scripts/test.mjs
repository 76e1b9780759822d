// Runs every *.test.ts under the given folders (default: test) with Node's own test runner.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const targets = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const options = process.argv.slice(2).filter((arg) => arg.startsWith('-'));
const files = (targets.length > 0 ? targets : ['test']).flatMap((target) =>
  statSync(target).isFile()
    ? [target]
    : readdirSync(target, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
        .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
        .filter((file) => target.includes('real') || !file.split(path.sep).includes('real'))
        .sort(),
);
const args = [
  '--import',
  'tsx',
  '--test',
  '--test-reporter=spec',
  '--test-concurrency=2',
  '--test-timeout=180000',
  ...options,
  ...files,
];
const result = spawnSync(process.execPath, args, { stdio: 'inherit', env: { LOG_LEVEL: 'silent', ...process.env } });
process.exit(result.status ?? 1);
