import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyReader } from '../../../src/wire/http1/body-reader.ts';

/** Reads a chunked body in two pieces; returns where it ended, the payload counted, and whether it was in doubt. */
function readChunked(text: string, split = text.length) {
  const bytes = Buffer.from(text, 'latin1');
  const body = new BodyReader();
  body.startChunked();
  let at = body.read(bytes, 0, split);
  if (!body.done && !body.failed) at = body.read(bytes, split, bytes.length);
  return { at, done: body.done, failed: body.failed, payload: body.payloadBytes };
}

const chunked = '4\r\nWiki\r\n0A;name="v\tx"\r\n0123456789\r\n0\r\nTrailer: x\r\nOther:\r\n\r\n';

test('a chunked body ends behind its trailers, wherever it is split', () => {
  for (let split = 0; split <= chunked.length; split++) {
    assert.deepEqual(
      readChunked(`${chunked}GET /`, split),
      { at: chunked.length, done: true, failed: false, payload: 14 },
      `at ${split}`,
    );
  }
});

test('a length-delimited body takes exactly its bytes', () => {
  const body = new BodyReader();
  body.startLength(5);
  assert.equal(body.read(Buffer.from('abc'), 0, 3), 3);
  assert.equal(body.done, false);
  assert.equal(body.read(Buffer.from('deGET'), 0, 5), 2);
  assert.equal(body.done, true);
  assert.equal(body.payloadBytes, 5);
});

test('a body of length zero is done before it begins', () => {
  const body = new BodyReader();
  body.startLength(0);
  assert.equal(body.done, true);
  assert.equal(body.read(Buffer.from('x'), 0, 1), 0);
});

test('a body until close takes everything and never ends by itself', () => {
  const body = new BodyReader();
  body.startUntilClose();
  assert.equal(body.read(Buffer.from('0\r\n\r\n'), 0, 5), 5);
  assert.equal(body.done, false);
  assert.equal(body.untilClose, true);
  assert.equal(body.payloadBytes, 5);
});

test('a new body starts with nothing of the last one', () => {
  const body = new BodyReader();
  body.startChunked();
  body.read(Buffer.from('zz'), 0, 2);
  assert.equal(body.failed, true);
  body.startLength(1);
  assert.equal(body.failed, false);
  assert.equal(body.payloadBytes, 0);
});

const doubtful: readonly (readonly [string, number])[] = [
  ['\r\n', 0],
  ['x\r\n', 0],
  ['-1\r\n', 0],
  ['0x4\r\n', 1],
  ['4 \r\n', 1],
  ['4\n', 1],
  ['4\rW', 2],
  ['4;a\nWiki', 3],
  ['4;\x00\r\n', 2],
  ['4\r\nWikiX', 7],
  ['4\r\nWiki\n', 7],
  ['4\r\nWiki\rX', 8],
  ['11111111111111\r\n', 13],
  ['0\r\nBad Name: x\r\n\r\n', 6],
  ['0\r\n folded\r\n\r\n', 3],
  ['0\r\nA: b\nC: d\r\n\r\n', 7],
  ['0\r\n\rX', 4],
];

for (const [text, at] of doubtful) {
  test(`chunked body ${JSON.stringify(text)} is in doubt at byte ${at}`, () => {
    for (let split = 0; split <= text.length; split++) {
      const result = readChunked(text, split);
      assert.equal(result.failed, true, `split at ${split}`);
      assert.equal(result.at, at, `split at ${split}`);
    }
  });
}

test('chunk extensions and trailers are bounded', () => {
  assert.equal(readChunked(`4;${'a'.repeat(5000)}\r\n`).failed, true);
  assert.equal(readChunked(`0\r\n${'A: b\r\n'.repeat(20_000)}\r\n`).failed, true);
});
