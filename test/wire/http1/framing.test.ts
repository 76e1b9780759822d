import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Framing, responseFieldNames } from '../../../src/wire/http1/framing.ts';
import { HeadScanner } from '../../../src/wire/http1/head-scanner.ts';

function framingOf(lines: string, version = '1.1') {
  const text = `HTTP/${version} 200 OK\r\n${lines}\r\n`;
  const scanner = new HeadScanner('response', responseFieldNames);
  assert.equal(scanner.scan(Buffer.from(text, 'latin1'), 0, text.length), text.length);
  const framing = new Framing();
  framing.readFrom(scanner, Buffer.from(text, 'latin1'), 0);
  return framing;
}

test('length and chunked are read', () => {
  assert.equal(framingOf('Content-Length: 42\r\n').contentLength, 42);
  assert.equal(framingOf('Transfer-Encoding: ChunKed\r\n').chunked, true);
  const none = framingOf('');
  assert.deepEqual([none.contentLength, none.chunked, none.doubt], [-1, false, undefined]);
});

const doubts: readonly (readonly [string, string])[] = [
  ['Content-Length: 1\r\nTransfer-Encoding: chunked\r\n', 'content_length_and_chunked'],
  ['Transfer-Encoding: chunked\r\nContent-Length: 1\r\n', 'content_length_and_chunked'],
  ['Content-Length: 5\r\nContent-Length: 5\r\n', 'repeated_content_length'],
  ['Content-Length: 5\r\nContent-Length: 6\r\n', 'repeated_content_length'],
  ['Content-Length: 5, 5\r\n', 'bad_content_length'],
  ['Content-Length: +5\r\n', 'bad_content_length'],
  ['Content-Length: 0x5\r\n', 'bad_content_length'],
  ['Content-Length: 5 5\r\n', 'bad_content_length'],
  ['Content-Length:\r\n', 'bad_content_length'],
  ['Content-Length: 9999999999999999\r\n', 'bad_content_length'],
  ['Transfer-Encoding: gzip, chunked\r\n', 'bad_transfer_encoding'],
  ['Transfer-Encoding: chunked, chunked\r\n', 'bad_transfer_encoding'],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', 'bad_transfer_encoding'],
  ['Transfer-Encoding: xchunked\r\n', 'bad_transfer_encoding'],
  ['Transfer-Encoding: chunked;q=1\r\n', 'bad_transfer_encoding'],
  ['Transfer-Encoding:\r\n', 'bad_transfer_encoding'],
];

for (const [lines, doubt] of doubts) {
  test(`${JSON.stringify(lines)} is in doubt: ${doubt}`, () => assert.equal(framingOf(lines).doubt, doubt));
}

test('Transfer-Encoding in an HTTP/1.0 message is in doubt', () => {
  assert.equal(framingOf('Transfer-Encoding: chunked\r\n', '1.0').doubt, 'transfer_encoding_in_http10');
});

test('whether another message follows depends on version and Connection', () => {
  assert.equal(framingOf('').closes(1), false);
  assert.equal(framingOf('').closes(0), true);
  assert.equal(framingOf('Connection: Keep-Alive\r\n').closes(0), false);
  assert.equal(framingOf('Connection: foo, Close\r\n').closes(1), true);
  assert.equal(framingOf('Connection: Upgrade\r\nUpgrade: websocket\r\n').connectionUpgrade, true);
});
