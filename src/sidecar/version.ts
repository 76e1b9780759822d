// The version spans are signed with, from package.json.
import { readFileSync } from 'node:fs';

// Read, not required: the first `require` of a bundle costs three milliseconds.
const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';

export const version = String(found);
