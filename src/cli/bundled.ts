// Loads a command from the one file that the build made of it and all its parts: half the start-up time of many files.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';
import type { Command } from 'commander';
import { youngGenerationFlag } from '../runtime/supervisor/young-generation.ts';

export interface CommandModule {
  define(): Command;
}

type Wrapper = (
  exports: object,
  require: NodeJS.Require,
  module: { exports: object },
  filename: string,
  dirname: string,
) => void;

/**
 * The command from `bundle/NAME.cjs` beside the folder of this file, or undefined when there is none: the sources run
 * as they are, or the build could not bundle. `NAME.cjs.cache` is V8's compiled form of it, with another for the flags of a worker;
 * V8 itself checks that it was made by the same version with the same flags, and compiles anew when not.
 */
export function loadBundled(name: string): CommandModule | undefined {
  const file = fileURLToPath(new URL(`../bundle/${name}.cjs`, import.meta.url));
  // One byte a character: the bundler escapes everything outside ASCII.
  const source = readIfPresent(file)?.toString('latin1');
  if (source === undefined) return undefined;
  const isWorker = process.execArgv.includes(youngGenerationFlag);
  const cachedData = readIfPresent(isWorker ? `${file}.worker.cache` : `${file}.cache`);
  const script = new Script(source, { filename: file, ...(cachedData ? { cachedData } : {}) });
  const module: { exports: object } = { exports: {} };
  const wrapper = script.runInThisContext() as Wrapper;
  wrapper(module.exports, createRequire(file), module, file, path.dirname(file));
  return module.exports as CommandModule;
}

function readIfPresent(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
