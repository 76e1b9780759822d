// The page on what changes says nothing of flags, metrics, doubts and files that do not exist, and leaves no doubt out.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { options } from '../../src/sidecar/options.ts';
import { brokenLinks, linksOf } from './links.ts';

const root = path.join(import.meta.dirname, '..', '..');
const page = readFileSync(path.join(root, 'docs', 'what-changes.md'), 'utf8');

function sourcesBelow(folder: string): string {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(path.join(root, folder, file), 'utf8'))
    .join('\n');
}

const sources = sourcesBelow('src/sidecar') + sourcesBelow('src/wire') + sourcesBelow('src/runtime');

function found(pattern: RegExp): Set<string> {
  return new Set([...page.matchAll(pattern)].map(([, name = '']) => name));
}

test('every flag on the page is one of the sidecar', () => {
  const flags = found(/`--([a-z-]+)/g);
  assert.ok(flags.size > 12);
  assert.deepEqual(
    [...flags].filter((flag) => !Object.keys(options).includes(flag)),
    [],
  );
});

test('the defaults in the table of limits are those of the sidecar', () => {
  const rows = [...page.matchAll(/^\| `--([a-z-]+)` +\| (\S+(?: s)?) +\|/gm)];
  assert.ok(rows.length >= 10);
  for (const [, flag = '', shown = ''] of rows) {
    const { fallback } = options[flag as keyof typeof options];
    assert.equal(shown.replace(' ', ''), fallback === '0' ? 'off' : fallback, flag);
  }
});

test('every metric on the page is in the sources', () => {
  const metrics = found(/`(tracecar_[a-z_]+)/g);
  assert.ok(metrics.size > 12);
  assert.deepEqual(
    [...metrics].filter((name) => !sources.includes(`'${name}'`)),
    [],
  );
});

test('the table of doubts has every doubt about heads and framing, and none that is not there', () => {
  const table = /^\| Reason[\s\S]*?\n\n/m.exec(page)?.[0] ?? '';
  const reasons = table.split('\n').map((row) => row.split('|')[1] ?? '');
  const onPage = new Set([...reasons.join('').matchAll(/`([a-z]\w+[a-z0-9])`/g)].map(([, name = '']) => name));
  assert.ok(onPage.size > 15);
  assert.deepEqual(
    [...onPage].filter((name) => !sources.includes(`'${name}'`)),
    [],
  );
  const unions = [...sources.matchAll(/^export type (?:HeadDoubt|FramingDoubt) =\n((?: {2}\| '\w+';?\n)+)/gm)];
  assert.equal(unions.length, 2);
  const doubts = unions.flatMap(([, body = '']) => [...body.matchAll(/'(\w+)'/g)].map(([, name = '']) => name));
  const raised = doubts.filter((name) => sources.split(`'${name}'`).length > 2);
  assert.deepEqual(
    raised.filter((name) => !onPage.has(name)),
    [],
  );
});

test('every link of the page leads somewhere', () => {
  const links = linksOf(page);
  assert.ok(links.length > 10);
  assert.deepEqual(brokenLinks(page, path.join(root, 'docs')), []);
});
