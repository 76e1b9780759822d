// Judges the walk by Google's own decoder, in Python, where it is installed (PyPI: opentelemetry-proto).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { walk } from '../../../src/formats/otlp/walk.ts';
import { encodeByOracle } from './oracle.ts';
import { fullSpan, plainSpan, requestOf, requestWithNestedArrays } from './samples.ts';

const python = process.env.PYTHON ?? 'python3';
const decoder = 'from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as R';
const isInstalled = spawnSync(python, ['-c', decoder]).status === 0;
const skip = isInstalled ? false : `${python} has no opentelemetry-proto`;

/** One line per request: the number of spans, or `refused`. */
const program = `${decoder}
import sys
for line in sys.stdin:
  try:
    request = R.FromString(bytes.fromhex(line.strip()))
    print(sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans))
  except Exception:
    print('refused')
`;

function decodeAll(requests: readonly Uint8Array[]): string[] {
  const input = requests.map((bytes) => `${Buffer.from(bytes).toString('hex')}\n`).join('');
  return spawnSync(python, ['-c', program], { input, encoding: 'utf8' }).stdout.trimEnd().split('\n');
}

test("Google's decoder takes all that the walk lets through, with the same number of spans", { skip }, () => {
  const sample = encodeByOracle(requestOf([fullSpan, plainSpan(1), plainSpan(2)]));
  const accepted: Uint8Array[] = [];
  const counts: string[] = [];
  for (let position = 0; position < sample.byteLength; position++) {
    for (const value of [0x00, 0x0b, 0x80, 0xff, sample[position]! ^ 1, sample[position]! ^ 0x40]) {
      const bytes = new Uint8Array(sample);
      bytes[position] = value;
      const result = walk(bytes);
      if (result.kind === 'malformed') continue;
      accepted.push(result.bytes);
      counts.push(String(result.acceptedSpans));
    }
  }
  assert.deepEqual(decodeAll(accepted), counts);
});

test('the walk draws the line of nesting where that decoder does', { skip }, () => {
  const requests = [46, 47, 48, 49].map(requestWithNestedArrays);
  assert.deepEqual(decodeAll(requests), ['1', '1', 'refused', 'refused']);
  const walked = requests.map((bytes) => {
    const result = walk(bytes);
    return result.kind === 'walked' && result.acceptedSpans;
  });
  assert.deepEqual(walked, [1, 1, 0, 0]);
});
