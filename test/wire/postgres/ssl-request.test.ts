import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PostgresOpeningReader, startsLikePostgres } from '../../../src/wire/postgres/ssl-request.ts';

function readPieces(bytes: Uint8Array, cuts: readonly number[] = []) {
  const reader = new PostgresOpeningReader();
  let start = 0;
  let end = 0;
  for (const cut of [...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length]) {
    const padded = Buffer.concat([Buffer.alloc(2, 0xff), bytes.subarray(start, cut), Buffer.alloc(3)]);
    end = start + reader.read(padded, 2, 2 + cut - start) - 2;
    if (reader.state !== 'reading') break;
    assert.equal(end, cut, 'all is read until the message is done');
    start = cut;
  }
  return { state: reader.state, opening: reader.opening, database: reader.database, end };
}

function packet(code: number, body: string, length = 8 + body.length): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(length, 0);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, Buffer.from(body, 'latin1')]);
}

const version3 = 0x30000;
const startup = (body: string, length?: number): Buffer => packet(version3, body, length);

const valid: Readonly<Record<string, readonly [Buffer, string, string]>> = {
  'an SSLRequest of psql': [Buffer.from('0000000804d2162f', 'hex'), 'ssl_request', ''],
  'a GSSENCRequest': [Buffer.from('0000000804d21630', 'hex'), 'gssenc_request', ''],
  'a CancelRequest': [packet(80877102, '\0\0\x01\x02\0\0\0\x2a'), 'cancel_request', ''],
  'a CancelRequest of protocol 3.2': [packet(80877102, `\0\0\x01\x02${'k'.repeat(256)}`), 'cancel_request', ''],
  'a StartupMessage of psql': [
    Buffer.from(
      '0000003900030000757365720073686f70006461746162617365006f7264657273006170706c69636174696f6e5f6e616d65007073716c0000',
      'hex',
    ),
    'startup_message',
    'orders',
  ],
  'a StartupMessage of pg8000': [
    Buffer.from('0000002300030000757365720073686f70006461746162617365006f72646572730000', 'hex'),
    'startup_message',
    'orders',
  ],
  'a StartupMessage of a later minor version': [packet(0x3270f, 'database\0a\0\0'), 'startup_message', 'a'],
  'a StartupMessage without a database': [startup('user\0database\0\0'), 'startup_message', ''],
  'a StartupMessage without anything': [startup('\0'), 'startup_message', ''],
  'a StartupMessage with the database first': [startup('database\0d\0user\0u\0\0'), 'startup_message', 'd'],
  'names that are not database': [startup('databases\0x\0databas\0y\0Database\0z\0\0'), 'startup_message', ''],
  'values that are empty': [startup('user\0\0database\0\0\0'), 'startup_message', ''],
  'a database that is not printable': [startup('database\0a\nb\xffc\0\0'), 'startup_message', 'a?b?c'],
  'a database with a long name': [startup(`database\0${'d'.repeat(9000)}\0\0`), 'startup_message', 'd'.repeat(255)],
  'a long name': [startup(`${'n'.repeat(900)}\0x\0database\0d\0\0`), 'startup_message', 'd'],
};

for (const [what, [message, opening, database]] of Object.entries(valid)) {
  test(`${what} is read and ends where what follows begins, wherever it is split`, () => {
    const bytes = Buffer.concat([message, Buffer.from('\x16\x03\x01')]);
    const expected = { state: 'done', opening, database, end: message.length };
    const cuts = Array.from({ length: Math.min(bytes.length, 400) }, (_, at) => at);
    for (const cut of cuts) {
      assert.deepEqual(readPieces(bytes, [cut, bytes.length - cut]), expected, `split at ${cut}`);
      assert.equal(startsLikePostgres(bytes, 0, cut), true, `${cut} bytes`);
      if (cut < message.length) assert.equal(readPieces(message.subarray(0, cut)).state, 'reading', `cut at ${cut}`);
    }
    assert.deepEqual(readPieces(bytes, [...bytes.keys()]), expected);
  });
}

const invalid: Readonly<Record<string, readonly [Buffer, number]>> = {
  'an HTTP request': [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 7],
  'a version that is none': [packet(0x40000, 'user\0u\0\0'), 7],
  'protocol 2': [packet(0x20000, 'user\0u\0\0'), 7],
  'an SSLRequest of another length': [packet(80877103, '', 9), 7],
  'a GSSENCRequest of another length': [packet(80877104, '', 12), 7],
  'a CancelRequest without a key': [packet(80877102, '\0\0\0\x01'), 7],
  'a CancelRequest with too long a key': [packet(80877102, 'k'.repeat(261)), 7],
  'a StartupMessage without a body': [startup(''), 7],
  'a StartupMessage over 10,000 bytes': [startup('', 10_001), 7],
  'a length above any': [startup('', 0xffffffff), 7],
  'a StartupMessage that ends in a name': [startup('user'), 11],
  'a StartupMessage that ends behind a name': [startup('user\0'), 12],
  'a StartupMessage that ends in a value': [startup('user\0u'), 13],
  'a StartupMessage that ends behind a value': [startup('user\0u\0'), 14],
  'a StartupMessage that ends before its length': [startup('user\0u\0\0\0'), 15],
};

for (const [what, [bytes, at]] of Object.entries(invalid)) {
  test(`${what} fails at byte ${at}, wherever it is split`, () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { state, end } = readPieces(bytes, [cut]);
      assert.deepEqual([state, end], ['failed', at], `split at ${cut}`);
    }
  });
}

test('the prefix test knows the first bytes from others', () => {
  const starts: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['00', true],
    ['000027', true],
    ['000028', false],
    ['0001', false],
    ['01', false],
    ['0000000804', true],
    ['0000000805', false],
    ['0000000804d216', true],
    ['0000000804d217', false],
    ['0000000804d2162f', true],
    ['0000000804d21631', false],
    ['0000000904d2162f', false],
    ['0000001000', true],
    ['000000100003', true],
    ['0000001000d2', false],
    ['000000100403', false],
    ['000000100002', false],
    ['00000800000000000000', false],
  ];
  for (const [hex, expected] of starts) {
    const bytes = Buffer.from(`ff${hex}00`, 'hex');
    assert.equal(startsLikePostgres(bytes, 1, bytes.length - 1), expected, hex);
  }
});

test('random bytes neither throw nor depend on how they are split, and prefix test and reader agree', () => {
  const text = fc.array(fc.constantFrom('user', 'database', '\0', '\0', 'x', '\xff'), { maxLength: 20 });
  const message = fc
    .tuple(
      fc.constantFrom(version3, version3 + 2, 80877102, 80877103, 80877104, 1),
      text,
      fc.integer({ min: -1, max: 1 }),
    )
    .map(([code, parts, more]) => packet(code, parts.join(''), 8 + parts.join('').length + more));
  const any = fc.array(fc.oneof(fc.constantFrom(0, 3, 4, 8, 0xd2, 0x16, 0x2f), fc.nat({ max: 255 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        message,
        any.map((list) => Uint8Array.from(list)),
      ),
      fc.array(fc.nat({ max: 80 }), { maxLength: 6 }),
      (bytes, cuts) => {
        const whole = readPieces(bytes);
        assert.deepEqual(readPieces(bytes, cuts), whole);
        assert.match(whole.database, /^[\x20-\x7e]{0,255}$/);
        fc.pre(bytes.length >= 8);
        const starts = startsLikePostgres(bytes, 0, bytes.length);
        assert.equal(starts, whole.opening !== undefined);
        for (let to = 0; to < 8; to++) assert.ok(!starts || startsLikePostgres(bytes, 0, to), `of ${to} bytes`);
      },
    ),
    { numRuns: 2000 },
  );
});
