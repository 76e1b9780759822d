// Corpus: chunked bodies: sizes, extensions, the ends of chunks, trailers.
import type { Family } from './corpus.ts';

/** A chunked POST with the given body bytes, and a request behind it. */
const chunked = (body: string) =>
  `POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${body}GET /b HTTP/1.1\r\nHost: h\r\n\r\n`;

function bodies(entries: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).map(([name, body]) => [name, chunked(body)]));
}

const last = '0\r\n\r\n';

/** Bodies of one chunk of three bytes whose size line is the given one. */
function sizeLines(lines: Readonly<Record<string, string>>): Record<string, string> {
  return bodies(Object.fromEntries(Object.entries(lines).map(([name, line]) => [name, `${line}abc\r\n${last}`])));
}

const soundSizes: Family = {
  name: 'chunk sizes',
  sound: true,
  cases: {
    ...sizeLines({ plain: '3\r\n', 'a zero before': '03\r\n', 'eight digits': '00000003\r\n' }),
    ...bodies({
      'lower-case hex': `1a\r\n${'x'.repeat(26)}\r\n${last}`,
      'upper-case hex': `1A\r\n${'x'.repeat(26)}\r\n${last}`,
      'no chunk at all': last,
      'many chunks': `${'3\r\nabc\r\n'.repeat(50)}${last}`,
      'a request in a chunk': `17\r\nGET /inner HTTP/1.1\r\n\r\n\r\n${last}`,
      'chunk framing in a chunk': `5\r\n${last}\r\n${last}`,
      '5,000 chunks of a byte': `${'1\r\nz\r\n'.repeat(5000)}${last}`,
      '40 chunks of 16 KiB': `${`4000\r\n${'z'.repeat(0x4000)}\r\n`.repeat(40)}${last}`,
      'a chunk of 300,000 bytes': `493E0\r\n${'z'.repeat(300_000)}\r\n${last}`,
      'three zeros at the end': '3\r\nabc\r\n000\r\n\r\n',
    }),
  },
};

const badSizes: Family = {
  name: 'chunk sizes that are none',
  sound: ['2^32 + 3', '-2 of 32 bits'],
  cases: sizeLines({
    'a plus': '+3\r\n',
    'a minus': '-3\r\n',
    '0x': '0x3\r\n',
    '0X': '0X3\r\n',
    'a space before': ' 3\r\n',
    'a tab before': '\t3\r\n',
    'a space behind': '3 \r\n',
    'spaces behind': '3     \r\n',
    'a tab behind': '3\t\r\n',
    'an underscore': '0_3\r\n',
    'an underscore behind': '3_\r\n',
    'a letter': 'g\r\n',
    'a letter behind': '3h\r\n',
    'a point': '3.0\r\n',
    'a comma': '3,0\r\n',
    'in quotes': '"3"\r\n',
    empty: '\r\n',
    'a NUL': '3\0\r\n',
    'a NUL before': '\x003\r\n',
    'a high byte': '3\xa0\r\n',
    'a vertical tab': '3\x0b\r\n',
    'bare LF': '3\n',
    'bare CR': '3\r',
    'CR CR LF': '3\r\r\n',
    'LF CR': '3\n\r',
    'CR and another byte': '3\rX\r\n',
    '2^32 + 3': '100000003\r\n',
    '2^63': '8000000000000000\r\n',
    '2^64 + 3': '10000000000000003\r\n',
    '-1 of 64 bits': 'ffffffffffffffff\r\n',
    '-2 of 32 bits': 'fffffffe\r\n',
    '20 digits': '00000000000000000003\r\n',
    '300 digits': `${'0'.repeat(299)}3\r\n`,
    '40 letters': `${'f'.repeat(40)}\r\n`,
  }),
};

const extensions: Family = {
  name: 'chunk extensions',
  sound: true,
  cases: sizeLines({
    name: '3;a\r\n',
    'name and value': '3;a=b\r\n',
    quoted: '3;a="b"\r\n',
    'quoted with a semicolon': '3;a="b;c"\r\n',
    'quoted with a quote': '3;a="b\\"c"\r\n',
    two: '3;a=b;c=d\r\n',
    '200 bytes': `3;a=${'x'.repeat(200)}\r\n`,
  }),
};

const badExtensions: Family = {
  name: 'chunk extensions, odd',
  sound: [
    'empty',
    'two semicolons',
    'a space behind the semicolon',
    'spaces around the sign',
    'no name',
    'no value',
    'a high byte',
    'an open quote',
    'a delimiter',
    'a slash',
    '1,000 bytes',
    '3,000 bytes',
  ],
  cases: sizeLines({
    empty: '3;\r\n',
    'two semicolons': '3;;\r\n',
    'a space before the semicolon': '3 ;a\r\n',
    'a tab before the semicolon': '3\t;a\r\n',
    'a space behind the semicolon': '3; a=b\r\n',
    'spaces around the sign': '3;a = b\r\n',
    'no name': '3;=b\r\n',
    'no value': '3;a=\r\n',
    'CRLF in quotes': '3;a="\r\n"\r\n',
    'LF in quotes': '3;a="\n"\r\n',
    'LF in the name': '3;a\nb\r\n',
    'LF and a chunk behind': '3;a\nabc\r\n0\r\n\r\nX: y\r\n',
    'LF as the end': '3;a\n',
    'CR in the name': '3;a\rb\r\n',
    'CR as the end': '3;a\r',
    'CR CR LF': '3;a\r\r\n',
    NUL: '3;a\0b\r\n',
    'a control byte': '3;a\x01b\r\n',
    DEL: '3;a\x7fb\r\n',
    'a high byte': '3;a\xe9b\r\n',
    'an open quote': '3;a="b\r\n',
    'a delimiter': '3;a@b\r\n',
    'a slash': '3;a=b/c\r\n',
    '1,000 bytes': `3;${'a'.repeat(1000)}\r\n`,
    '3,000 bytes': `3;${'a'.repeat(3000)}\r\n`,
    '5,000 bytes': `3;${'a'.repeat(5000)}\r\n`,
    '20,000 bytes': `3;${'a'.repeat(20_000)}\r\n`,
  }),
};

const smallChunksWithExtensions: Family = {
  name: 'many chunk extensions',
  sound: ['more framing than payload', 'in the last chunk', '3,000 bytes in the last chunk'],
  cases: bodies({
    'more framing than payload': `${`1;${'e'.repeat(100)}\r\nz\r\n`.repeat(400)}${last}`,
    'in the last chunk': `3\r\nabc\r\n0;a=b\r\n\r\n`,
    'LF in the last chunk': '3\r\nabc\r\n0;a\nb\r\n\r\n',
    'space in the last chunk': '3\r\nabc\r\n0 \r\n\r\n',
    '3,000 bytes in the last chunk': `3\r\nabc\r\n0;${'a'.repeat(3000)}\r\n\r\n`,
  }),
};

const chunkEnds: Family = {
  name: 'the ends of chunks',
  sound: ['two empty lines'],
  cases: bodies({
    'longer than its size': `3\r\nabcd\r\n${last}`,
    'longer by a line': `3\r\nabc\r\nX\r\n${last}`,
    'shorter than its size': `5\r\nabc\r\n${last}`,
    'bare LF behind the data': `3\r\nabc\n${last}`,
    'bare CR behind the data': `3\r\nabc\r${last}`,
    'nothing behind the data': `3\r\nabc${last}`,
    'CRLF CRLF behind the data': `3\r\nabc\r\n\r\n${last}`,
    'any two bytes behind the data': `3\r\nabcXX${last}`,
    'CR and any byte behind the data': `3\r\nabc\rX${last}`,
    'LF CR behind the data': `3\r\nabc\n\r${last}`,
    'CR CR LF behind the data': `3\r\nabc\r\r\n${last}`,
    'a space behind the data': `3\r\nabc \r\n${last}`,
    'bare LF ends the body': '3\r\nabc\r\n0\n\n',
    'CRLF LF ends the body': '3\r\nabc\r\n0\r\n\n',
    'LF CRLF ends the body': '3\r\nabc\r\n0\n\r\n',
    'no empty line': '3\r\nabc\r\n0\r\n',
    'CR and a byte end the body': '3\r\nabc\r\n0\r\n\rX',
    'a second last chunk': `3\r\nabc\r\n${last}${last}`,
    'a chunk behind the last': `3\r\nabc\r\n${last}3\r\nabc\r\n${last}`,
    'two empty lines': '3\r\nabc\r\n0\r\n\r\n\r\n',
  }),
};

const trailers = (lines: string) => `3\r\nabc\r\n0\r\n${lines}\r\n`;

const soundTrailers: Family = {
  name: 'trailers',
  sound: true,
  cases: bodies({
    one: trailers('X: y\r\n'),
    three: trailers('X: y\r\nY: z\r\nZ:\r\n'),
    'a checksum': trailers('Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n'),
    '2,000 bytes': trailers(`X: ${'y'.repeat(2000)}\r\n`),
    '30 fields': trailers('X: y\r\n'.repeat(30)),
    'Content-Length': trailers('Content-Length: 50\r\n'),
    'Transfer-Encoding': trailers('Transfer-Encoding: chunked\r\n'),
    'Transfer-Encoding: identity': trailers('Transfer-Encoding: identity\r\n'),
    Host: trailers('Host: other\r\n'),
    'Connection: close': trailers('Connection: close\r\n'),
    Upgrade: trailers('Connection: Upgrade\r\nUpgrade: websocket\r\n'),
    Trailer: trailers('Trailer: X\r\n'),
    Authorization: trailers('Authorization: Basic eDp5\r\n'),
    'a request line in a value': trailers('X: GET /b HTTP/1.1\r\n'),
  }),
};

const badTrailers: Family = {
  name: 'trailers that are none',
  sound: ['9,000 fields'],
  cases: bodies({
    'a space before the colon': trailers('X : y\r\n'),
    'a fold': trailers('X: y\r\n z\r\n'),
    'a fold first': trailers(' X: y\r\n'),
    'bare LF': trailers('X: y\n'),
    'bare CR': trailers('X: y\rY: z\r\n'),
    'bare LF as the end': '3\r\nabc\r\n0\r\nX: y\r\n\n',
    'LF LF as the end': '3\r\nabc\r\n0\r\nX: y\n\n',
    'no colon': trailers('nonsense\r\n'),
    'an empty name': trailers(': y\r\n'),
    'a request line': trailers('GET /c HTTP/1.1\r\nHost: h\r\n'),
    NUL: trailers('X: a\0b\r\n'),
    'a control byte': trailers('X: a\x01b\r\n'),
    '70,000 bytes': trailers(`X: ${'y'.repeat(70_000)}\r\n`),
    '300,000 bytes': trailers(`X: ${'y'.repeat(300_000)}\r\n`),
    '9,000 fields': trailers('X: y\r\n'.repeat(9000)),
  }),
};

export const chunkFamilies: readonly Family[] = [
  soundSizes,
  badSizes,
  extensions,
  badExtensions,
  smallChunksWithExtensions,
  chunkEnds,
  soundTrailers,
  badTrailers,
];
