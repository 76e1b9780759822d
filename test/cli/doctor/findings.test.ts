import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bad, good, open, renderFindings } from '../../../src/cli/doctor/findings.ts';

test('the first fault is named last, with its remedy; those of the others stand below them', () => {
  const text = renderFindings(
    [
      good('sidecar', 'ready'),
      open('protocol', 'unknown'),
      open('TLS', 'unread', 'end it'),
      bad('collector', 'away', 'start it'),
      bad('x', 'y', 'z'),
    ],
    false,
  );
  assert.equal(
    text,
    [
      '  ✓ sidecar    ready',
      '  · protocol   unknown',
      '  · TLS        unread',
      '               → end it',
      '  ✗ collector  away',
      '  ✗ x          y',
      '               → z',
      '',
      'doctor: first thing wrong: collector: away',
      '        what to do: start it',
      '',
    ].join('\n'),
  );
});

test('without a fault it says so; colour only when asked for', () => {
  const findings = [good('sidecar', 'ready'), open('backend', 'idle')];
  assert.ok(renderFindings(findings, false).endsWith('\ndoctor: nothing is wrong\n'));
  assert.ok(renderFindings(findings, true).includes('\u001b[32m✓'));
});
