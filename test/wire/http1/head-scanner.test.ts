import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldNames } from '../../../src/wire/http1/field-names.ts';
import { HeadScanner } from '../../../src/wire/http1/head-scanner.ts';

const names = ['host', 'traceparent', 'content-length'];

interface Result {
  readonly end: number;
  readonly doubt: string | undefined;
  readonly fields: readonly (readonly [string, string])[];
}

/** Scans `text` with the bytes arriving in two pieces, the second after `split`. */
function scan(kind: 'request' | 'response', text: string, split = text.length): Result {
  const bytes = Buffer.from(text, 'latin1');
  const scanner = new HeadScanner(kind, new FieldNames(names));
  let end = scanner.scan(bytes, 0, split);
  if (end === 0) end = scanner.scan(bytes, 0, bytes.length);
  const fields = Array.from({ length: scanner.knownCount }, (_, i) => {
    const [id = 0, , start = 0, stop = 0] = scanner.fields.slice(i * 5);
    return [names[id]!, text.slice(start, stop)] as const;
  });
  return { end, doubt: end === -1 ? scanner.doubt : undefined, fields };
}

const head = 'GET /a?b=c HTTP/1.1\r\nHOST: \t x:1 \r\nX-Other: y\r\nTraceparent:00-a\r\nEmpty:\r\n\r\n';

test('a request head ends behind its blank line and its known fields are found in any case', () => {
  const result = scan('request', `${head}rest`);
  assert.equal(result.end, head.length);
  assert.deepEqual(result.fields, [
    ['host', 'x:1'],
    ['traceparent', '00-a'],
  ]);
});

test('a request head split at any byte scans the same', () => {
  const whole = scan('request', head);
  for (let split = 0; split <= head.length; split++)
    assert.deepEqual(scan('request', head, split), whole, `at ${split}`);
});

test('a response head split at any byte scans the same', () => {
  const response = 'HTTP/1.1 404 Not Found: caf\xe9\r\nContent-Length: 12\r\n\r\n';
  for (let split = 0; split <= response.length; split++) {
    const result = scan('response', response, split);
    assert.equal(result.end, response.length, `at ${split}`);
    assert.deepEqual(result.fields, [['content-length', '12']]);
  }
});

test('start lines are taken apart', () => {
  const scanner = new HeadScanner('request', new FieldNames(names));
  const text = '\r\n\r\nPATCH http://x/y HTTP/1.0\r\n\r\n';
  assert.equal(scanner.scan(Buffer.from(text), 0, text.length), text.length);
  assert.equal(text.slice(scanner.methodStart, scanner.methodEnd), 'PATCH');
  assert.equal(text.slice(scanner.methodEnd + 1, scanner.targetEnd), 'http://x/y');
  assert.equal(scanner.minorVersion, 0);
  const response = new HeadScanner('response', new FieldNames(names));
  const status = 'HTTP/1.1 204\r\n\r\n';
  assert.equal(response.scan(Buffer.from(status), 0, status.length), status.length);
  assert.equal(response.statusCode, 204);
});

test('bytes above 0x7F in a value are allowed and told', () => {
  const scanner = new HeadScanner('request', new FieldNames(names));
  const text = 'GET / HTTP/1.1\r\nHost: \xff\r\n\r\n';
  assert.equal(scanner.scan(Buffer.from(text, 'latin1'), 0, text.length), text.length);
  assert.equal(scanner.nonAscii, true);
  scanner.reset();
  assert.equal(scanner.nonAscii, false);
});

const requestDoubts: readonly (readonly [string, string])[] = [
  ['\x16\x03\x01', 'not_http'],
  ['PING\r\n', 'not_http'],
  ['*1\r\n', 'not_http'],
  [`${'A'.repeat(33)} / HTTP/1.1\r\n\r\n`, 'not_http'],
  ['\rGET / HTTP/1.1\r\n\r\n', 'not_http'],
  [' GET / HTTP/1.1\r\n\r\n', 'not_http'],
  ['GET /\r\n', 'bad_request_line'],
  ['GET  / HTTP/1.1\r\n\r\n', 'bad_request_line'],
  ['GET / HTTP/1.1 \r\n\r\n', 'bad_request_line'],
  ['GET / HTTP/1.2\r\n\r\n', 'bad_request_line'],
  ['GET / HTTP/2.0\r\n\r\n', 'bad_request_line'],
  ['GET / http/1.1\r\n\r\n', 'bad_request_line'],
  ['GET /\x01 HTTP/1.1\r\n\r\n', 'bad_request_line'],
  ['GET / HTTP/1.1\n\n', 'bare_lf'],
  ['GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 'bare_lf'],
  ['GET / HTTP/1.1\r\n\n', 'bare_lf'],
  ['GET / HTTP/1.1\rX', 'bare_cr'],
  ['GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n', 'bare_cr'],
  ['GET / HTTP/1.1\r\nHost: a\r\n\rX', 'bare_cr'],
  ['GET / HTTP/1.1\r\nHost : a\r\n\r\n', 'bad_field_name'],
  ['GET / HTTP/1.1\r\n: a\r\n\r\n', 'bad_field_name'],
  ['GET / HTTP/1.1\r\nHost\r\n\r\n', 'bad_field_name'],
  ['GET / HTTP/1.1\r\nH\xe9: a\r\n\r\n', 'bad_field_name'],
  ['GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n', 'bad_field_value'],
  ['GET / HTTP/1.1\r\nHost: a\x0bb\r\n\r\n', 'bad_field_value'],
  ['GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n', 'obs_fold'],
  ['GET / HTTP/1.1\r\n\tHost: a\r\n\r\n', 'obs_fold'],
  [`GET / HTTP/1.1\r\nX: ${'a'.repeat(70_000)}\r\n\r\n`, 'head_too_large'],
  [`GET / HTTP/1.1\r\n${'X: a\r\n'.repeat(600)}\r\n`, 'too_many_fields'],
];

for (const [text, doubt] of requestDoubts) {
  test(`request ${JSON.stringify(text.slice(0, 40))} is in doubt: ${doubt}`, () => {
    assert.equal(scan('request', text).doubt, doubt);
    for (let split = 1; split < Math.min(text.length, 64); split++) {
      assert.equal(scan('request', text, split).doubt, doubt, `at ${split}`);
    }
  });
}

const responseDoubts: readonly (readonly [string, string])[] = [
  ['HTTP/2 200\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1  200 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 20 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 2000 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 099 OK\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 200 OK\n\r\n', 'bare_lf'],
  ['HTTP/1.1 200 O\x00K\r\n\r\n', 'bad_status_line'],
  ['<html>', 'bad_status_line'],
];

for (const [text, doubt] of responseDoubts) {
  test(`response ${JSON.stringify(text)} is in doubt: ${doubt}`, () => {
    for (let split = 0; split <= text.length; split++) assert.equal(scan('response', text, split).doubt, doubt);
  });
}

test('garbage behind the scanned range is never looked at', () => {
  const scanner = new HeadScanner('request', new FieldNames(names));
  const bytes = Buffer.from('GET /abc\x00\x00\x00');
  assert.equal(scanner.scan(bytes, 0, 8), 0);
  bytes.write(' HTTP/1.1\r\n\r\n'.slice(0, 3), 8);
  assert.equal(scanner.scan(bytes, 0, 11), 0);
});

test('names that share a hash slot are told apart', () => {
  const many = Array.from({ length: 400 }, (_, i) => `x-name-${i}`);
  const table = new FieldNames(many);
  for (const [i, name] of many.entries()) assert.equal(table.add(name.toUpperCase()), i);
  assert.equal(table.size, 400);
});
