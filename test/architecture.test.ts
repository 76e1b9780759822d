// The rules of the house that a compiler does not check: who may import whom, and a README that names real files.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import type { Command } from 'commander';
import { define as defineCollector } from '../src/cli/collector.ts';
import { define as defineDemo } from '../src/cli/demo.ts';
import { define as defineDoctor } from '../src/cli/doctor.ts';
import { define as defineIptables } from '../src/cli/iptables.ts';
import { define as defineRun } from '../src/cli/run.ts';
import { define as defineSidecar } from '../src/cli/sidecar.ts';

const root = path.dirname(import.meta.dirname);
const values = ['trace', 'wire', 'formats', 'runtime'];

/** Which folders of src/ the files of a folder may import, besides their own. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  trace: [],
  wire: [],
  runtime: [],
  formats: ['trace', 'wire'],
  ui: ['runtime'],
  sidecar: values,
  collector: values,
  store: values,
  'control-plane': values,
  iptables: values,
  cli: [...values, 'sidecar', 'collector', 'store', 'control-plane', 'iptables', 'ui'],
};

/** The files of a program that src/cli may import: its one door, and how it is configured. */
const doors: Readonly<Record<string, readonly string[]>> = {
  sidecar: ['sidecar/main.ts', 'sidecar/load-config.ts', 'sidecar/options.ts', 'sidecar/listen-addresses.ts'],
  collector: ['collector/main.ts', 'collector/backends.ts'],
  store: ['store/main.ts'],
  'control-plane': ['control-plane/main.ts'],
  iptables: ['iptables/main.ts'],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

/** The relative imports of a source, static and dynamic, as paths below src/. */
function importsOf(from: string, text: string): Import[] {
  const specifiers = text.matchAll(/(?:\bfrom|\bimport\s*\(?|\bnew URL\()\s*'(\.{1,2}\/[^']+)'/g);
  return [...specifiers].map(([, specifier = '']) => ({
    from,
    to: path.posix.join(path.posix.dirname(from), specifier),
  }));
}

function folderOf(file: string): string {
  return file.split('/')[0] ?? '';
}

/** Why an import breaks the rules, or undefined. */
function objection({ from, to }: Import): string | undefined {
  const [source, target] = [folderOf(from), folderOf(to)];
  const allowed = arrows[source];
  if (allowed === undefined) return `src/${from}: no rule says what src/${source} may import`;
  if (!to.endsWith('.ts') || target === source) return undefined;
  if (!allowed.includes(target))
    return `src/${from} imports src/${to}: ${source} may import ${allowed.join(', ') || 'nothing'}`;
  const doorsOfTarget = source === 'cli' ? doors[target] : undefined;
  if (doorsOfTarget === undefined || doorsOfTarget.includes(to)) return undefined;
  return `src/${from} imports src/${to}: the door of ${target} is src/${doorsOfTarget[0]}`;
}

function sources(): string[] {
  return readdirSync(path.join(root, 'src'), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => path.relative(path.join(root, 'src'), path.join(entry.parentPath, entry.name)));
}

test('every import between the folders of src/ goes the way the arrows point', () => {
  const imports = sources().flatMap((file) => importsOf(file, readFileSync(path.join(root, 'src', file), 'utf8')));
  assert.ok(imports.length > 10, 'the imports were found');
  assert.deepEqual(
    imports.map(objection).filter((wrong) => wrong !== undefined),
    [],
  );
});

test('a wrong arrow is an objection, whichever way the import is written', () => {
  const wrong = [
    importsOf('wire/http1/head.ts', `import type { Span } from '../../trace/span.ts';`),
    importsOf('sidecar/export/queue.ts', `const { store } = await import('../../store/store.ts');`),
    importsOf('runtime/log.ts', `import '../cli/main.ts';`),
    importsOf('formats/otlp/encode.ts', `export { listen } from '../../runtime/listen.ts';`),
    importsOf('cli/sidecar.ts', `import { Exporter } from '../sidecar/export/exporter.ts';`),
    importsOf('ui/page.ts', `import { TraceStore } from '../store/store.ts';`),
  ];
  for (const imports of wrong) {
    assert.equal(imports.length, 1);
    assert.ok(imports[0] && objection(imports[0]), JSON.stringify(imports));
  }
});

test('the files that the README names on the path of a request exist, and it names several', () => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  const section = /## The path of a request\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? '';
  const named = [...section.matchAll(/`(src\/[^`]+)`/g)].map(([, file = '']) => file);
  assert.ok(named.length >= 8, `the section names ${named.length} files`);
  assert.deepEqual(
    named.filter((file) => !existsSync(path.join(root, file))),
    [],
  );
});

test('the README lists every flag of every command, and no other', () => {
  const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
  const chapter = /## Commands\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? '';
  const listed = [...chapter.matchAll(/^\| `(--[a-z0-9-]+)/gm)].map(([, flag = '']) => flag);
  const flagsOf = ({ options }: Command) => options.map(({ long }) => String(long));
  const sidecar = flagsOf(defineSidecar());
  const defined = [
    ...sidecar,
    ...[defineCollector(), defineIptables(), defineDemo(), defineDoctor()].flatMap(flagsOf),
    // `run` takes those of `sidecar` as well, which are listed once.
    ...flagsOf(defineRun()).filter((flag) => !sidecar.includes(flag)),
  ];
  assert.deepEqual(listed.toSorted(), defined.toSorted());
});
