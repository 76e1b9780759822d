// Programs that run to their end, here or behind a command that enters another place.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { createSystem } from '../../src/iptables/system.ts';

test('a program gets its input, and its output and exit code come back', () => {
  const result = createSystem().run(['sh', '-c', 'cat; echo no >&2; exit 3'], 'rules');
  assert.deepEqual(result, { status: 3, stdout: 'rules', stderr: 'no\n', isMissing: false });
});

test('a program that is not there is missing, also behind a command that enters', (t) => {
  assert.equal(createSystem().run(['no-such-program-anywhere']).isMissing, true);
  const folder = mkdtempSync(path.join(tmpdir(), 'tracecar-enter-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const enter = path.join(folder, 'enter');
  for (const code of [127, 255]) {
    writeFileSync(enter, `#!/bin/sh\necho "exec of \\"$1\\" failed: No such file or directory" >&2\nexit ${code}\n`);
    chmodSync(enter, 0o755);
    assert.equal(createSystem([enter]).run(['iptables-save']).isMissing, true);
  }
  assert.equal(createSystem(['env']).run(['sh', '-c', 'exit 127']).isMissing, false);
});

test('files are read where the programs run; one that cannot be read is undefined', () => {
  for (const system of [createSystem(), createSystem(['env'])]) {
    assert.match(system.readText(import.meta.filename) ?? '', /^\/\/ Programs that run to their end/);
    assert.equal(system.readText('/no/such/file'), undefined);
  }
});
