// Corpus: header fields, their line ends, and heads that are too much.
import type { Family } from './corpus.ts';

/** A GET with the given lines (each with its end) behind Host. */
const having = (lines: string, end = '\r\n') => `GET /a HTTP/1.1\r\nHost: h\r\n${lines}${end}`;

function heads(lines: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(lines).map(([name, text]) => [name, having(text)]));
}

const hex = (byte: number) => `0x${byte.toString(16).padStart(2, '0')}`;

/** A name with one byte in it that no token has. */
const delimiters = Object.fromEntries([...'(),/;<=>?@[\\]{}"'].map((char) => [`a ${char}`, `X${char}Y: z\r\n`]));

const names: Family = {
  name: 'field names that are none',
  sound: false,
  cases: heads({
    ...delimiters,
    'a space before the colon': 'X : z\r\n',
    'a tab before the colon': 'X\t: z\r\n',
    'a space inside': 'X Y: z\r\n',
    'a high byte': 'X\xe9: z\r\n',
    'UTF-8': 'X\xc3\xa9: z\r\n',
    NUL: 'X\0Y: z\r\n',
    DEL: 'X\x7f: z\r\n',
    empty: ': z\r\n',
    'no colon': 'nonsense\r\n',
    'a colon alone': ':\r\n',
    'a bare CR before the colon': 'X\r: z\r\n',
    'a vertical tab before the colon': 'X\x0b: z\r\n',
  }),
};

const tokenNames: Family = {
  name: 'field names',
  sound: true,
  cases: heads({
    'every mark a token may have': "!#$%&'*+-.^_`|~: z\r\n",
    digits: '123: z\r\n',
    underscores: 'X_Y: z\r\n',
    'one letter': 'x: z\r\n',
    '300 letters': `${'x'.repeat(300)}: z\r\n`,
    'like a framing field, with an underscore': 'Content_Length: 5\r\nTransfer_Encoding: chunked\r\n',
    'like a framing field, with a prefix': 'X-Content-Length: 5\r\nX-Transfer-Encoding: chunked\r\n',
  }),
};

const controls = [...Array.from({ length: 0x20 }, (_, byte) => byte), 0x7f].filter(
  (byte) => ![9, 10, 13].includes(byte),
);

const badValues: Family = {
  name: 'control bytes in a field value',
  sound: false,
  cases: heads(Object.fromEntries(controls.map((byte) => [hex(byte), `X: a${String.fromCharCode(byte)}b\r\n`]))),
};

const values: Family = {
  name: 'field values',
  sound: true,
  cases: heads({
    empty: 'X:\r\n',
    'spaces only': 'X:   \r\n',
    'tabs around': 'X:\ta\t\r\n',
    'no space': 'X:a\r\n',
    'UTF-8': 'X: \xc3\xa9\r\n',
    'every high byte': `X: ${Array.from({ length: 128 }, (_, i) => String.fromCharCode(128 + i)).join('')}\r\n`,
    colons: 'X: a: b: c\r\n',
    'a quoted string': 'X: "a b, \\"c\\"; d"\r\n',
    'an open quote': 'X: "a\r\nY: b"\r\n',
    'a request line': 'X: GET /b HTTP/1.1\r\n',
    'the same name twice': 'X: a\r\nX: b\r\n',
    '4,000 bytes': `X: ${'a'.repeat(4000)}\r\n`,
    '50 fields': 'X: y\r\n'.repeat(50),
  }),
};

const smuggled = 'GET /b HTTP/1.1\r\nHost: h\r\n\r\n';

const lineEnds: Family = {
  name: 'line ends',
  sound: false,
  cases: {
    'bare LF everywhere': 'GET /a HTTP/1.1\nHost: h\nX: y\n\n',
    'bare LF after a field': having('X: y\nY: z\r\n'),
    'bare LF after Host': 'GET /a HTTP/1.1\r\nHost: h\nX: y\r\n\r\n',
    'bare LF as the empty line': having('X: y\r\n', '\n'),
    'LF LF as the end': having('X: y', '\n\n'),
    'LF CRLF as the end': having('X: y', '\n\r\n'),
    'LF LF and a request behind it': having('X: y', `\n\n${smuggled}`),
    'CR CR as the end': having('X: y', '\r\r'),
    'CR LF CR as the end': having('X: y', '\r\n\r'),
    'bare CR in a value': having('X: a\rb\r\n'),
    'bare CR between fields': having('X: a\rY: b\r\n'),
    'CR CR LF after a field': having('X: a\r\r\n'),
    'LF CR after a field': having('X: a\n\rY: b\r\n'),
    'CR CR as the empty line': having('X: a\r\n\r', '\r\n'),
    'a bare LF hides a length': having('X: a\nContent-Length: 40\r\n'),
    'a bare CR hides a length': having('X: a\rContent-Length: 40\r\n'),
    'a NUL hides a length': having('X: a\0\r\nContent-Length: 40\0\r\n'),
    'a bare LF in quotes': having('X: "a\nContent-Length: 40"\r\n'),
    'NEL as a line end': having('X: a\x85Y: b\r\nZ\x85: c\r\n'),
  },
};

const folds: Family = {
  name: 'obs-fold',
  sound: false,
  cases: heads({
    'with a space': 'X: a\r\n b\r\n',
    'with a tab': 'X: a\r\n\tb\r\n',
    'of nothing': 'X: a\r\n \r\n',
    'of an empty value': 'X:\r\n a\r\n',
    twice: 'X: a\r\n b\r\n c\r\n',
    'that looks like a field': 'X: a\r\n Content-Length: 40\r\n',
    'that looks like chunked': 'X: a\r\n\tTransfer-Encoding: chunked\r\n',
    'by bare LF': 'X: a\n b\r\n',
    'by bare CR': 'X: a\r b\r\n',
    'as the last line': 'X: a\r\n  \r\n',
  }),
};

const firstFolds: Family = {
  name: 'a fold in the first line',
  sound: false,
  cases: {
    'before Host': 'GET /a HTTP/1.1\r\n Host: h\r\nX: a\r\n\r\n',
    'before a length': 'POST /a HTTP/1.1\r\n Content-Length: 5\r\nHost: h\r\n\r\n',
    'a line of spaces': 'GET /a HTTP/1.1\r\n \r\nHost: h\r\n\r\n',
    'a tab before chunked': 'POST /a HTTP/1.1\r\n\tTransfer-Encoding: chunked\r\nHost: h\r\n\r\n',
  },
};

const hosted = (...lines: readonly string[]) => `GET /a HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

const hosts: Family = {
  name: 'Host',
  sound: true,
  cases: {
    missing: hosted('X: y'),
    'missing, no field at all': hosted(),
    twice: hosted('Host: h', 'Host: h'),
    'two that differ': hosted('Host: h', 'Host: other'),
    empty: hosted('Host:'),
    'with a port': hosted('Host: h:8080'),
    'with two ports': hosted('Host: h:80:80'),
    'with a path': hosted('Host: h/b'),
    'with a user': hosted('Host: u@h'),
    'with a space': hosted('Host: h h'),
    'a list': hosted('Host: h, other'),
    IPv6: hosted('Host: [::1]:80'),
    'a broken IPv6': hosted('Host: [::1'),
    'with a high byte': hosted('Host: h\xe9'),
    'in capitals': hosted('HOST: H'),
    'missing in HTTP/1.0': 'GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    'unlike the absolute target': 'GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n',
  },
};

const oversized: Family = {
  name: 'heads that are too much',
  sound: ['15,000 bytes', '33,000 bytes', '64,000 bytes', '90 fields', '99 fields', '101 fields', '510 fields'],
  cases: heads({
    '15,000 bytes': `X: ${'a'.repeat(15_000)}\r\n`,
    '33,000 bytes': `X: ${'a'.repeat(33_000)}\r\n`,
    '64,000 bytes': `X: ${'a'.repeat(64_000)}\r\n`,
    '66,000 bytes': `X: ${'a'.repeat(66_000)}\r\n`,
    '300,000 bytes': `X: ${'a'.repeat(300_000)}\r\n`,
    'a name of 70,000 bytes': `${'x'.repeat(70_000)}: a\r\n`,
    '90 fields': 'X: y\r\n'.repeat(90),
    '99 fields': 'X: y\r\n'.repeat(99),
    '101 fields': 'X: y\r\n'.repeat(101),
    '510 fields': 'X: y\r\n'.repeat(510),
    '600 fields': 'X: y\r\n'.repeat(600),
    '3,000 fields': 'X: y\r\n'.repeat(3000),
    '3,000 fields, then a length': `${'X: y\r\n'.repeat(3000)}Content-Length: 40\r\n`,
  }),
};

export const fieldFamilies: readonly Family[] = [
  names,
  tokenNames,
  badValues,
  values,
  lineEnds,
  folds,
  firstFolds,
  hosts,
  oversized,
];
