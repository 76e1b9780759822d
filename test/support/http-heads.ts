// Heads of HTTP/1.1 messages as tests look at them: lines in order, and what of them the sidecar added.
import assert from 'node:assert/strict';

/** Names of the headers a sidecar may add or replace. */
const ours =
  /^(traceparent|tracestate|b3|x-b3-(traceid|spanid|parentspanid|sampled|flags)|x-request-id|uber-trace-id|ot-tracer-\w+):/i;

/** The bytes of `received` without the lines a sidecar adds to the first head in them. */
export function withoutOurLines(received: Buffer): Buffer {
  const text = received.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  assert.notEqual(end, -1, 'the server saw no complete head');
  const lines = text.slice(0, end).split('\r\n');
  const kept = lines.filter((line, i) => i === 0 || !ours.test(line));
  return Buffer.from(kept.join('\r\n') + text.slice(end), 'latin1');
}

/** The lines a sidecar added to the first head, by lower-case name. */
export function ourLines(received: Buffer): Map<string, string> {
  const head = received.toString('latin1').split('\r\n\r\n', 1)[0] ?? '';
  const lines = head
    .split('\r\n')
    .slice(1)
    .filter((line) => ours.test(line));
  return new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
}

/** All values of a header in a head, in order. */
export function headerValues(received: Buffer, name: string): string[] {
  const head = received.toString('latin1').split('\r\n\r\n', 1)[0] ?? '';
  return head
    .split('\r\n')
    .slice(1)
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(line.indexOf(':') + 1).trim());
}
