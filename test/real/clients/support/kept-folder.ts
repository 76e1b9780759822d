// A folder that lasts as long as the tests of one file, for what is compiled once for all of them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface KeptFolder {
  readonly path: string;
  remove(): void;
}

export function keptFolder(name: string): KeptFolder {
  const folder = mkdtempSync(path.join(tmpdir(), `tracecar-${name}-`));
  return { path: folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
