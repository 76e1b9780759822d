// Corpus: Content-Length and Transfer-Encoding, alone, together, and in disguise (CL.TE, TE.CL, TE.TE, CL.CL).
import type { Family } from './corpus.ts';

const post = (lines: string, body: string) => `POST /a HTTP/1.1\r\nHost: h\r\n${lines}\r\n${body}`;
const inner = 'GET /inner HTTP/1.1\r\nHost: h\r\n\r\n';
const chunk = `${inner.length.toString(16)}\r\n${inner}\r\n`;
/** Ends a chunked body at once; read by a length of its own, it is only the beginning. */
const emptyThenInner = `0\r\n\r\n${inner}`;
const innerChunked = `${chunk}0\r\n\r\n`;

/**
 * Lines that some parser takes for `Transfer-Encoding: chunked` and another does not, each with its CRLF.
 * Most were found in the wild against pairs of proxies and servers.
 */
const disguises: Readonly<Record<string, string>> = {
  'a space before the colon': 'Transfer-Encoding : chunked\r\n',
  'a tab before the colon': 'Transfer-Encoding\t: chunked\r\n',
  'two spaces after the colon, tab behind': 'Transfer-Encoding:  chunked\t\r\n',
  'a vertical tab before the value': 'Transfer-Encoding: \x0bchunked\r\n',
  'a form feed before the value': 'Transfer-Encoding: \x0cchunked\r\n',
  'a vertical tab behind the value': 'Transfer-Encoding: chunked\x0b\r\n',
  'NUL before the value': 'Transfer-Encoding: \0chunked\r\n',
  'NUL behind the value': 'Transfer-Encoding: chunked\0\r\n',
  'NEL before the value': 'Transfer-Encoding: \x85chunked\r\n',
  'a non-breaking space before the value': 'Transfer-Encoding: \xa0chunked\r\n',
  'a non-breaking space behind the value': 'Transfer-Encoding: chunked\xa0\r\n',
  'a high byte inside': 'Transfer-Encoding: chu\x96ked\r\n',
  'the Kelvin sign': 'Transfer-Encoding: chun\xe2\x84\xaaed\r\n',
  'DEL behind the value': 'Transfer-Encoding: chunked\x7f\r\n',
  'a byte above the name': 'Transfer\x82-Encoding: chunked\r\n',
  'a byte behind the name': 'Transfer-Encoding\x82: chunked\r\n',
  'double quotes': 'Transfer-Encoding: "chunked"\r\n',
  'single quotes': "Transfer-Encoding: 'chunked'\r\n",
  'a prefix': 'Transfer-Encoding: xchunked\r\n',
  'a suffix': 'Transfer-Encoding: chunkedx\r\n',
  'cut short': 'Transfer-Encoding: chunke\r\n',
  'a parameter': 'Transfer-Encoding: chunked;q=1\r\n',
  'a semicolon': 'Transfer-Encoding: chunked;\r\n',
  'a comma behind': 'Transfer-Encoding: chunked,\r\n',
  'a comma before': 'Transfer-Encoding: ,chunked\r\n',
  'identity before': 'Transfer-Encoding: identity, chunked\r\n',
  'identity behind': 'Transfer-Encoding: chunked, identity\r\n',
  'gzip before': 'Transfer-Encoding: gzip, chunked\r\n',
  'gzip behind': 'Transfer-Encoding: chunked, gzip\r\n',
  'an unknown coding before': 'Transfer-Encoding: cow, chunked\r\n',
  'chunked twice in a list': 'Transfer-Encoding: chunked, chunked\r\n',
  'a space for the comma': 'Transfer-Encoding: chunked chunked\r\n',
  'identity alone': 'Transfer-Encoding: identity\r\n',
  'gzip alone': 'Transfer-Encoding: gzip\r\n',
  'an unknown coding alone': 'Transfer-Encoding: cow\r\n',
  'no value': 'Transfer-Encoding:\r\n',
  'chunked, chunked': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
  'chunked, then identity': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
  'identity, then chunked': 'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n',
  'chunked, then unknown': 'Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n',
  'unknown, then chunked': 'Transfer-Encoding: cow\r\nTransfer-encoding: chunked\r\n',
  'chunked, then empty': 'Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n',
  'empty, then chunked': 'Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n',
  'folded value': 'Transfer-Encoding:\r\n chunked\r\n',
  'folded value by tab': 'Transfer-Encoding:\r\n\tchunked\r\n',
  'folded by bare LF': 'Transfer-Encoding:\n chunked\r\n',
  'a fold behind': 'Transfer-Encoding: chunked\r\n , identity\r\n',
  'as a fold': 'X: y\r\n Transfer-Encoding: chunked\r\n',
  'behind a bare LF': 'X: y\nTransfer-Encoding: chunked\r\n',
  'behind a bare CR': 'X: y\rTransfer-Encoding: chunked\r\n',
  'ended by bare LF': 'Transfer-Encoding: chunked\n',
  'ended by CR CR LF': 'Transfer-Encoding: chunked\r\r\n',
  'a space before the name': ' Transfer-Encoding: chunked\r\n',
  'a semicolon for the colon': 'Transfer-Encoding; chunked\r\n',
  'an underscore': 'Transfer_Encoding: chunked\r\n',
  'a space for the hyphen': 'Transfer Encoding: chunked\r\n',
  'a dot for the hyphen': 'Transfer.Encoding: chunked\r\n',
  'no hyphen': 'TransferEncoding: chunked\r\n',
  'another field': 'Content-Encoding: chunked\r\nTE: chunked\r\n',
  'named by Connection': 'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n',
  plain: 'Transfer-Encoding: chunked\r\n',
  capitals: 'TRANSFER-ENCODING: CHUNKED\r\n',
  'mixed case': 'tRANSFER-eNCODING: cHuNkEd\r\n',
  'no space': 'Transfer-Encoding:chunked\r\n',
  'a tab for the space': 'Transfer-Encoding:\tchunked\r\n',
};

/** Those that are names of their own: nobody takes them for it. */
const notTransferEncoding = ['an underscore', 'a dot for the hyphen', 'no hyphen', 'another field'];

function disguised(build: (line: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(disguises).map(([name, line]) => [name, build(line)]));
}

const clTe: Family = {
  name: 'CL.TE',
  sound: notTransferEncoding,
  cases: disguised((line) => post(`Content-Length: ${emptyThenInner.length}\r\n${line}`, emptyThenInner)),
};

const teCl: Family = {
  name: 'TE.CL',
  sound: false,
  cases: disguised((line) => post(`${line}Content-Length: 4\r\n`, innerChunked)),
};

const teTe: Family = {
  name: 'TE.TE',
  sound: [
    'two spaces after the colon, tab behind',
    'named by Connection',
    'plain',
    'capitals',
    'mixed case',
    'no space',
    'a tab for the space',
  ],
  cases: disguised((line) => post(line, emptyThenInner)),
};

const teTeBody: Family = {
  name: 'TE.TE with a body',
  sound: notTransferEncoding,
  cases: disguised((line) => post(`Transfer-Encoding: chunked\r\n${line}`, innerChunked)),
};

const te10: Family = {
  name: 'Transfer-Encoding in HTTP/1.0',
  sound: false,
  cases: Object.fromEntries(
    ['', 'Connection: keep-alive\r\n', 'Content-Length: 5\r\nConnection: keep-alive\r\n'].map((lines) => [
      lines.replaceAll('\r\n', ' ') || 'alone',
      `POST /a HTTP/1.0\r\nHost: h\r\n${lines}Transfer-Encoding: chunked\r\n\r\n${emptyThenInner}`,
    ]),
  ),
};

/** Values of Content-Length (behind the colon) that may mean 4, something else, or nothing. */
const lengths: Readonly<Record<string, string>> = {
  'a plus': ' +4',
  'a minus': ' -4',
  'minus zero': ' -0',
  hexadecimal: ' 0x4',
  'a letter': ' 4a',
  'a letter before': ' a4',
  'a point': ' 4.0',
  'an exponent': ' 4e0',
  'an underscore': ' 0_4',
  'a space inside': ' 4 0',
  'a tab inside': ' 4\t0',
  'a list of the same': ' 4, 4',
  'a list of the same without space': ' 4,4',
  'a list of others': ' 4, 40',
  'a comma behind': ' 4,',
  'a comma before': ' ,4',
  'a semicolon': ' 4;',
  'in quotes': ' "4"',
  'NUL behind': ' 4\0',
  'a vertical tab before': ' \x0b4',
  'a form feed behind': ' 4\x0c',
  'a non-breaking space': ' \xa04',
  'an Arabic digit': ' \xd9\xa4',
  empty: '',
  'spaces only': '   ',
  '2^32 + 4': ' 4294967300',
  '2^64 + 4': ' 18446744073709551620',
  '2^63': ' 9223372036854775808',
  '2^128': ' 340282366920938463463374607431768211456',
  folded: '\r\n 4',
  'a digit in a fold': ' 4\r\n 0',
  'behind a bare LF': '\n4',
  'ended by bare LF': ' 4\nX: y',
  'ended by bare CR': ' 4\rX: y',
};

const contentLengths: Family = {
  name: 'Content-Length that is none',
  sound: ['2^32 + 4'],
  cases: Object.fromEntries(
    Object.entries(lengths).map(([name, value]) => [name, post(`Content-Length:${value}\r\n`, `abcd${inner}`)]),
  ),
};

const lengthsInGet: Family = {
  name: 'Content-Length that is none, in GET',
  sound: ['2^32 + 4'],
  cases: Object.fromEntries(
    Object.entries(lengths).map(([name, value]) => [
      name,
      `GET /a HTTP/1.1\r\nContent-Length:${value}\r\nHost: h\r\n\r\nabcd${inner}`,
    ]),
  ),
};

const clCl: Family = {
  name: 'CL.CL',
  sound: ['with an underscore', 'a name cut short'],
  cases: {
    same: post('Content-Length: 4\r\nContent-Length: 4\r\n', `abcd${inner}`),
    'same in another case': post('Content-Length: 4\r\ncontent-length: 4\r\n', `abcd${inner}`),
    'same number in other digits': post('Content-Length: 4\r\nContent-Length: 04\r\n', `abcd${inner}`),
    'the first is less': post(`Content-Length: 0\r\nContent-Length: ${inner.length}\r\n`, inner),
    'the second is less': post(`Content-Length: ${inner.length}\r\nContent-Length: 0\r\n`, inner),
    'the second is empty': post(`Content-Length: ${inner.length}\r\nContent-Length:\r\n`, inner),
    'the first is empty': post(`Content-Length:\r\nContent-Length: ${inner.length}\r\n`, inner),
    'the second has a space before the colon': post(`Content-Length: 0\r\nContent-Length : ${inner.length}\r\n`, inner),
    'three times': post('Content-Length: 4\r\n'.repeat(3), `abcd${inner}`),
    'far apart': post(`Content-Length: 0\r\n${'X: y\r\n'.repeat(60)}Content-Length: ${inner.length}\r\n`, inner),
    'with an underscore': post(`Content-Length: 4\r\nContent_Length: ${inner.length}\r\n`, `abcd${inner}`),
    'a name cut short': post(`Content-Length: 4\r\nContent-Lengt: ${inner.length}\r\n`, `abcd${inner}`),
  },
};

const soundLengths: Family = {
  name: 'Content-Length',
  sound: true,
  cases: {
    zero: post('Content-Length: 0\r\n', inner),
    'zeros before': post('Content-Length: 0004\r\n', `abcd${inner}`),
    'spaces around': post('Content-Length:   4  \r\n', `abcd${inner}`),
    'no space': post('Content-Length:4\r\n', `abcd${inner}`),
    'tabs around': post('Content-Length:\t4\t\r\n', `abcd${inner}`),
    capitals: post('CONTENT-LENGTH: 4\r\n', `abcd${inner}`),
    'a request in the body': post(`Content-Length: ${inner.length}\r\n`, inner),
    'a chunked body in the body': post(`Content-Length: ${emptyThenInner.length}\r\n`, emptyThenInner),
    '100,000 bytes': post('Content-Length: 100000\r\n', 'x'.repeat(100_000)),
  },
};

export const framingFamilies: readonly Family[] = [
  clTe,
  teCl,
  teTe,
  teTeBody,
  te10,
  contentLengths,
  lengthsInGet,
  clCl,
  soundLengths,
];
