// The version of this build, from package.json.
import { readFileSync } from 'node:fs';

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

function readVersion(value: unknown): string {
  const found = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  return typeof found === 'string' ? found : 'unknown';
}

export const version = readVersion(manifest);
