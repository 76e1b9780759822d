// Corpus: request lines and what stands before them.
import type { Family } from './corpus.ts';

/** A request without a body under the given request line. */
const under = (line: string, end = '\r\n') => `${line}${end}Host: h\r\n\r\n`;

function lines(entries: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).map(([name, line]) => [name, under(line)]));
}

const tokenMethods = ['PURGE', 'M-SEARCH', 'PROPFIND', 'X_Y.Z', '!#$%&', "'*+^`|~", 'get', 'Get', 'A', '123'];

const methods: Family = {
  name: 'methods',
  sound: true,
  cases: lines(Object.fromEntries(tokenMethods.map((method) => [method, `${method} /a HTTP/1.1`]))),
};

const badMethods: Family = {
  name: 'methods that are none',
  sound: false,
  cases: lines({
    empty: ' /a HTTP/1.1',
    'with parentheses': 'GE(T /a HTTP/1.1',
    'with a colon': 'GET: /a HTTP/1.1',
    'with a slash': 'GET/a HTTP/1.1',
    'with a high byte': 'G\xc9T /a HTTP/1.1',
    'with NUL': 'GE\0T /a HTTP/1.1',
    'with DEL': 'GET\x7f /a HTTP/1.1',
    'in quotes': '"GET" /a HTTP/1.1',
    'in two words': 'G ET /a HTTP/1.1',
    'longer than any': `${'X'.repeat(200)} /a HTTP/1.1`,
  }),
};

const versions: Family = {
  name: 'versions',
  sound: false,
  cases: lines({
    none: 'GET /a',
    'none, with a space': 'GET /a ',
    'HTTP/0.9': 'GET /a HTTP/0.9',
    'HTTP/1.2': 'GET /a HTTP/1.2',
    'HTTP/1.9': 'GET /a HTTP/1.9',
    'HTTP/1.10': 'GET /a HTTP/1.10',
    'HTTP/1.01': 'GET /a HTTP/1.01',
    'HTTP/01.1': 'GET /a HTTP/01.1',
    'HTTP/2.0': 'GET /a HTTP/2.0',
    'HTTP/2': 'GET /a HTTP/2',
    'HTTP/3.0': 'GET /a HTTP/3.0',
    'HTTP/9.9': 'GET /a HTTP/9.9',
    'HTTP/1': 'GET /a HTTP/1',
    'HTTP/1.': 'GET /a HTTP/1.',
    'HTTP/.1': 'GET /a HTTP/.1',
    'HTTP/11': 'GET /a HTTP/11',
    'HTTP/1,1': 'GET /a HTTP/1,1',
    'HTTP/-1.1': 'GET /a HTTP/-1.1',
    'HTTP/1.1x': 'GET /a HTTP/1.1x',
    'HTTP/1.1 and a space': 'GET /a HTTP/1.1 ',
    'HTTP/1.1 and a tab': 'GET /a HTTP/1.1\t',
    'http/1.1': 'GET /a http/1.1',
    'Http/1.1': 'GET /a Http/1.1',
    'HTTP 1.1': 'GET /a HTTP 1.1',
    HTTPS: 'GET /a HTTPS/1.1',
    ICE: 'SOURCE /a ICE/1.0',
    RTSP: 'DESCRIBE /a RTSP/1.0',
    'the preface of HTTP/2': 'PRI * HTTP/2.0',
  }),
};

const spacing: Family = {
  name: 'spaces in the request line',
  sound: false,
  cases: {
    ...lines({
      'two after the method': 'GET  /a HTTP/1.1',
      'two after the target': 'GET /a  HTTP/1.1',
      'a tab after the method': 'GET\t/a HTTP/1.1',
      'a tab after the target': 'GET /a\tHTTP/1.1',
      'in the target': 'GET /a b HTTP/1.1',
      'a second version': 'GET /a HTTP/1.1 HTTP/1.1',
      'a vertical tab': 'GET\x0b/a HTTP/1.1',
      'a form feed': 'GET\x0c/a HTTP/1.1',
      'a bare CR after the method': 'GET\r/a HTTP/1.1',
      'a bare CR in the target': 'GET /a\rb HTTP/1.1',
      'a non-breaking space': 'GET\xa0/a HTTP/1.1',
      'no target': 'GET HTTP/1.1',
      'an empty target': 'GET  HTTP/1.1',
    }),
    'CR CR LF at the end': under('GET /a HTTP/1.1', '\r\r\n'),
    'bare LF at the end': under('GET /a HTTP/1.1', '\n'),
    'bare CR at the end': under('GET /a HTTP/1.1', '\r'),
    'LF CR at the end': under('GET /a HTTP/1.1', '\n\r'),
  },
};

const targets: Family = {
  name: 'targets',
  sound: true,
  cases: lines({
    'origin-form with a query': 'GET /a?b=c&d=%20 HTTP/1.1',
    'two slashes first': 'GET //a/b HTTP/1.1',
    'dot segments': 'GET /a/../b/./c HTTP/1.1',
    'a backslash': 'GET /a\\b HTTP/1.1',
    'quotes and brackets': 'GET /a"<>[]{}|^` HTTP/1.1',
    'an encoded NUL': 'GET /a%00b HTTP/1.1',
    'an encoded CRLF': 'GET /a%0d%0aX:%20y HTTP/1.1',
    'a broken escape': 'GET /a%zz HTTP/1.1',
    'a fragment': 'GET /a#b HTTP/1.1',
    'UTF-8': 'GET /\xc3\xa9 HTTP/1.1',
    'a lone high byte': 'GET /\xff HTTP/1.1',
    'absolute-form': 'GET http://h/a HTTP/1.1',
    'absolute-form with another host': 'GET http://other/a HTTP/1.1',
    'absolute-form with a port': 'GET http://h:8080/a?b HTTP/1.1',
    'absolute-form in capitals': 'GET HTTP://H/a HTTP/1.1',
    'absolute-form of https': 'GET https://h/a HTTP/1.1',
    'absolute-form without a path': 'GET http://h HTTP/1.1',
    'absolute-form with user': 'GET http://u:p@h/a HTTP/1.1',
    'absolute-form of IPv6': 'GET http://[::1]/a HTTP/1.1',
    'absolute-form of another scheme': 'GET ftp://h/a HTTP/1.1',
    'absolute-form without authority': 'GET http:///a HTTP/1.1',
    'authority-form in GET': 'GET h:80 HTTP/1.1',
    'asterisk-form': 'OPTIONS * HTTP/1.1',
    'asterisk-form in GET': 'GET * HTTP/1.1',
    'a path without a slash': 'GET a HTTP/1.1',
    'a query alone': 'GET ?a HTTP/1.1',
    '6,000 bytes': `GET /${'a'.repeat(6000)} HTTP/1.1`,
    '12,000 bytes': `GET /${'a'.repeat(12_000)} HTTP/1.1`,
  }),
};

const badTargets: Family = {
  name: 'targets that are none',
  sound: false,
  cases: lines({
    'with NUL': 'GET /a\0b HTTP/1.1',
    'with DEL': 'GET /a\x7fb HTTP/1.1',
    'with a bell': 'GET /a\x07b HTTP/1.1',
    'with an escape': 'GET /a\x1bb HTTP/1.1',
    'of 100,000 bytes': `GET /${'a'.repeat(100_000)} HTTP/1.1`,
  }),
};

const get = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
const post = 'POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab';

const leading: Family = {
  name: 'empty lines before a request',
  sound: true,
  cases: {
    'one CRLF': `\r\n${get}`,
    'two CRLF': `\r\n\r\n${get}`,
    'twenty CRLF': `${'\r\n'.repeat(20)}${get}`,
    'one CRLF before a second request': `${get}\r\n${get}`,
    'one CRLF behind a body': `${post}\r\n${get}`,
    'two CRLF behind a body': `${post}\r\n\r\n${get}`,
    'five CRLF behind a body': `${post}${'\r\n'.repeat(5)}${get}`,
    'CRLF before the probe': `${get}\r\n`,
  },
};

const badLeading: Family = {
  name: 'other bytes before a request',
  sound: false,
  cases: Object.fromEntries(
    Object.entries({
      LF: '\n',
      'two LF': '\n\n',
      CR: '\r',
      'CR CR LF': '\r\r\n',
      'LF CR': '\n\r',
      'CRLF CR': '\r\n\r',
      space: ' ',
      'space CRLF': ' \r\n',
      tab: '\t',
      NUL: '\0',
      'a byte order mark': '\xef\xbb\xbf',
      '0xFF': '\xff',
    }).flatMap(([name, bytes]) => [
      [`${name} first`, `${bytes}${get}`],
      [`${name} behind a body`, `${post}${bytes}${get}`],
    ]),
  ),
};

export const requestLineFamilies: readonly Family[] = [
  methods,
  badMethods,
  versions,
  spacing,
  targets,
  badTargets,
  leading,
  badLeading,
];
