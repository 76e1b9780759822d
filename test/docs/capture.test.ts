// The page on capture says nothing of flags, ports and headings that do not exist; its pods are played by test/real/pods.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { parseAllDocuments } from 'yaml';
import { define as defineCollector } from '../../src/cli/collector.ts';
import { define as defineDoctor } from '../../src/cli/doctor.ts';
import { define as defineIptables } from '../../src/cli/iptables.ts';
import { define as defineRun } from '../../src/cli/run.ts';
import { define as defineSidecar } from '../../src/cli/sidecar.ts';
import { brokenLinks, linksOf } from './links.ts';

const root = path.join(import.meta.dirname, '..', '..');
const page = readFileSync(path.join(root, 'docs', 'capture.md'), 'utf8');

const commands = {
  sidecar: defineSidecar(),
  collector: defineCollector(),
  iptables: defineIptables(),
  doctor: defineDoctor(),
  run: defineRun(),
};

function flagsOf(command: keyof typeof commands): Set<string> {
  return new Set(commands[command].options.flatMap(({ short, long }) => [short ?? '', long ?? '']));
}

interface Container {
  readonly args: readonly string[];
  readonly image: string;
  readonly securityContext?: { readonly runAsUser?: number; readonly runAsGroup?: number };
}

/** Every container of every pod of the page. */
const containers = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)]
  .flatMap(([, yaml = '']) => parseAllDocuments(yaml).map((document) => document.toJS() as Record<string, unknown>))
  .flatMap(({ spec }) => {
    const { initContainers = [], containers: main = [] } = spec as Readonly<Record<string, Container[] | undefined>>;
    return [...initContainers, ...main];
  });

test('every flag in the pods is one of its command', () => {
  const ours = containers.filter(({ image }) => image === 'tracecar');
  assert.ok(ours.length >= 8);
  for (const { args } of ours) {
    const [command = '', ...rest] = args;
    const known = flagsOf(command as keyof typeof commands);
    const flags = rest.filter((arg) => arg.startsWith('-')).map((arg) => arg.split('=')[0]!);
    assert.deepEqual(
      flags.filter((flag) => !known.has(flag)),
      [],
      command,
    );
  }
});

test('no sidecar lacks the user or the group that rules leave alone', () => {
  const sidecars = containers.filter(({ args }) => args?.[0] === 'sidecar');
  assert.equal(sidecars.length, 4);
  for (const { securityContext } of sidecars) assert.equal(securityContext?.runAsGroup, 1337);
});

test('every flag in the text is one of ours', () => {
  const prose = page.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`kubectl [^`]*`|`nsenter [^`]*`/g, '');
  const code = [...prose.matchAll(/`[^`]+`/g)].join(' ');
  const flags = new Set([...code.matchAll(/--[a-z][a-z0-9-]*/g)].map(([flag]) => flag));
  assert.ok(flags.size >= 8);
  const known = new Set((Object.keys(commands) as (keyof typeof commands)[]).flatMap((name) => [...flagsOf(name)]));
  assert.deepEqual(
    [...flags].filter((flag) => !known.has(flag)),
    [],
  );
});

test('every link of the page leads somewhere', () => {
  const links = linksOf(page);
  assert.ok(links.length > 12);
  assert.deepEqual(brokenLinks(page, path.join(root, 'docs')), []);
});
