import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EventStreamCounter } from '../../../src/wire/http1/event-stream-counter.ts';

function countPieces(bytes: Uint8Array, cuts: readonly number[] = []): number {
  const counter = new EventStreamCounter();
  let start = 0;
  for (const cut of [...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length]) {
    const padded = Buffer.concat([Buffer.from('\n\n'), bytes.subarray(start, cut), Buffer.from('\n\n\r')]);
    counter.read(padded, 2, 2 + cut - start);
    start = cut;
  }
  return counter.events;
}

/** The standard's algorithm word for word, on the whole text. */
function expectedEvents(bytes: Uint8Array): number {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes).replace(/^\ufeff/, '');
  const lines = text.split(/\r\n|\n|\r/).slice(0, -1);
  let events = 0;
  let data = '';
  for (const line of lines) {
    if (line === '') {
      if (data !== '') events++;
      data = '';
      continue;
    }
    const colon = line.indexOf(':');
    const [name, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    if (name === 'data') data += `${value}\n`;
  }
  return events;
}

const streams: Readonly<Record<string, readonly [string, number]>> = {
  'two events': ['data: one\n\ndata: two\n\n', 2],
  'lines that end with CRLF': ['data: one\r\n\r\ndata: two\r\n\r\n', 2],
  'lines that end with CR': ['data: one\r\rdata: two\r\r', 2],
  'lines that end in all ways': ['data: one\r\n\ndata: two\r\n\rdata: 3\n\rdata: 4\r\n\r\n', 4],
  'an event of many lines': ['event: a\nid: 7\ndata: 1\ndata: 2\nretry: 10\n\n', 1],
  'many blank lines': ['\n\n\ndata: 1\n\n\n\n\r\n\r\n', 1],
  'an event without an end': ['data: 1\n\ndata: 2\n', 1],
  'data without a colon': ['data\n\ndata\ndata\n\ndata:', 2],
  'empty data': ['data:\n\n', 1],
  comments: [': ping\n\n:\n\n:data: x\n\n', 0],
  'other fields alone': ['event: a\n\nid: 1\n\nretry: 5\n\n', 0],
  'names that are not data': ['datax: 1\n\nDATA: 1\n\n data: 1\n\ndat: 1\n\nd\n\ndata : 1\n\nxdata: 1\n\n', 0],
  'comments inside an event': ['data: 1\n: still here\n\n', 1],
  'a byte order mark': ['\u00ef\u00bb\u00bfdata: 1\n\n', 1],
  'two byte order marks': ['\u00ef\u00bb\u00bf\u00ef\u00bb\u00bfdata: 1\n\n', 0],
  'a byte order mark later': ['data: 1\n\n\u00ef\u00bb\u00bfdata: 2\n\n', 1],
  'a part of a byte order mark': ['\u00ef\u00bbdata: 1\n\ndata: 2\n\n', 1],
  'a part of a byte order mark alone on its line': ['\u00ef\n\ndata: 2\n\n', 1],
  'a byte order mark and a blank line': ['\u00ef\u00bb\u00bf\n\ndata: 2\n\n', 1],
  nothing: ['', 0],
  'an LF that ends a CR of an earlier line only once': ['data: 1\r\n\n', 1],
  'long lines': [`data: ${'x'.repeat(500)}\r\n\r\n: ${'y'.repeat(90)}\r\rdata: ${'z'.repeat(40)}\n\n`, 2],
};

for (const [what, [text, events]] of Object.entries(streams)) {
  test(`${what}: ${events} counted, wherever it is split`, () => {
    const bytes = Buffer.from(text, 'latin1');
    for (let cut = 0; cut <= bytes.length; cut++) assert.equal(countPieces(bytes, [cut]), events, `split at ${cut}`);
    assert.equal(countPieces(bytes, [...bytes.keys()]), events);
  });
}

test('an event counts when the line end of its blank line begins', () => {
  const bytes = Buffer.from('data: 1\r\n\r\n');
  assert.equal(countPieces(bytes.subarray(0, -2)), 0);
  assert.equal(countPieces(bytes.subarray(0, -1)), 1);
  assert.equal(countPieces(bytes), 1);
});

test('any stream counts as the standard says, however it is split', () => {
  const end = fc.constantFrom('\n', '\r', '\r\n');
  const word = fc.constantFrom(
    'data',
    'data:',
    'data: x',
    'dat',
    'datas:',
    ': c',
    '',
    '',
    '',
    'id: 1',
    '\u00ef\u00bb\u00bf',
  );
  const long = fc.nat({ max: 120 }).map((length) => `data: ${'d'.repeat(length)}`);
  const line = fc.tuple(fc.oneof(word, long), end).map((parts) => parts.join(''));
  const stream = fc
    .array(fc.oneof(line, word), { maxLength: 30 })
    .map((parts) => Buffer.from(parts.join(''), 'latin1'));
  fc.assert(
    fc.property(stream, fc.array(fc.nat({ max: 600 }), { maxLength: 8 }), (bytes, cuts) => {
      assert.equal(countPieces(bytes, cuts), expectedEvents(bytes));
    }),
    { numRuns: 3000 },
  );
});

test('random bytes count as the standard says, however they are split', () => {
  const byte = fc.oneof(
    fc.constantFrom(...Buffer.from('data:\r\n\r\n\u00ef\u00bb\u00bf', 'latin1')),
    fc.nat({ max: 255 }),
  );
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 200 }), fc.array(fc.nat({ max: 200 }), { maxLength: 6 }), (list, cuts) => {
      const bytes = Uint8Array.from(list);
      assert.equal(countPieces(bytes, cuts), expectedEvents(bytes));
    }),
    { numRuns: 2000 },
  );
});

test('the cost of a stream grows with its bytes, whichever line ends it lacks', () => {
  // Looked for from every line anew, the CR that never comes would cost a search to the end for each of these lines.
  for (const lineEnd of ['\n', '\r']) {
    const event = `data: ${'x'.repeat(60)}${lineEnd}${lineEnd}`;
    const bytes = Buffer.from(event.repeat(60_000));
    const counter = new EventStreamCounter();
    const start = process.cpuUsage();
    counter.read(bytes, 0, bytes.length);
    const { user, system } = process.cpuUsage(start);
    assert.equal(counter.events, 60_000);
    assert.ok(user + system < 1_000_000, `${user + system} us`);
  }
});
