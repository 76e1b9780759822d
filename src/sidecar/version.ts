// The version spans are signed with, from package.json.
import { createRequire } from 'node:module';

const manifest: unknown = createRequire(import.meta.url)('../../package.json');
const found = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';

export const version = String(found);
