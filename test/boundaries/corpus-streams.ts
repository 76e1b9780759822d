// Corpus: methods and their bodies, several requests in a row, the end of the connection, upgrades and tunnels.
import type { Family } from './corpus.ts';

const request = (method: string, lines = '', body = '', version = '1.1') =>
  `${method} /${method.toLowerCase()} HTTP/${version}\r\nHost: h\r\n${lines}\r\n${body}`;
const sized = (method: string, body: string, lines = '') =>
  request(method, `${lines}Content-Length: ${body.length}\r\n`, body);
const chunked = (method: string, lines = '') =>
  request(method, `${lines}Transfer-Encoding: chunked\r\n`, '4\r\nabcd\r\n0\r\n\r\n');
const get = request('GET');

const bodyMethods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];

const methodBodies: Family = {
  name: 'methods and bodies',
  sound: true,
  cases: Object.fromEntries(
    bodyMethods.flatMap((method) => [
      [`${method} without a body`, request(method)],
      [`${method} with a length`, sized(method, 'abcd')],
      [`${method} with chunks`, chunked(method)],
      [`${method} with a length of zero`, sized(method, '')],
    ]),
  ),
};

/** Bodies that look like something else. */
const payloads: Family = {
  name: 'payloads',
  sound: true,
  cases: {
    'a request': sized('POST', get),
    'two requests': sized('POST', get + get),
    'half a request': sized('POST', 'GET /half HTTP/1.1\r\nHost: '),
    'empty lines': sized('POST', '\r\n\r\n\r\n'),
    'a response': sized('POST', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    'the end of chunks': sized('POST', '0\r\n\r\n'),
    'every byte': sized('POST', Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('')),
    'the preface of HTTP/2': sized('POST', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    'a TLS record': sized('POST', '\x16\x03\x01\x02\x00\x01\x00'),
    'one byte': sized('POST', 'x'),
    '70,000 bytes': sized('POST', 'x'.repeat(70_000)),
    '1,000,000 bytes in chunks': request(
      'POST',
      'Transfer-Encoding: chunked\r\n',
      `${`2710\r\n${'x'.repeat(10_000)}\r\n`.repeat(100)}0\r\n\r\n`,
    ),
  },
};

const pipelines: Family = {
  name: 'pipelines',
  sound: true,
  cases: {
    'two GETs': get + get,
    'twenty GETs': get.repeat(20),
    'a hundred GETs': get.repeat(100),
    'POST, GET': sized('POST', 'abcd') + get,
    'GET, POST': get + sized('POST', 'abcd'),
    'chunked POST, GET': chunked('POST') + get,
    'chunked POST, POST': chunked('POST') + sized('POST', 'abcd'),
    'POST, chunked PUT, DELETE': sized('POST', 'ab') + chunked('PUT') + request('DELETE'),
    'HEAD, GET, HEAD': request('HEAD') + get + request('HEAD'),
    'ten chunked POSTs': chunked('POST').repeat(10),
    'POST without a body, GET': request('POST') + get,
    'a sound one, then CRLF, then another': `${sized('POST', 'abcd')}\r\n${get}`,
  },
};

/** A sound request in front of one that is in doubt: the doubt must not reach back. */
const doubtBehind: Family = {
  name: 'a doubt behind sound requests',
  sound: ['a body longer than its length', 'a body shorter by one'],
  cases: {
    'both framings': get + request('POST', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${get}`),
    'two lengths': sized('POST', 'abcd') + request('POST', 'Content-Length: 4\r\nContent-Length: 5\r\n', 'abcd'),
    'a bare LF': `${get}GET /a HTTP/1.1\nHost: h\n\n`,
    'a space before the colon': chunked('POST') + request('POST', 'Content-Length : 4\r\n', 'abcd'),
    'a body longer than its length': `${sized('POST', 'abcd')}efgh${get}`,
    'a body shorter than its length': request('POST', 'Content-Length: 40\r\n', 'abcd') + get,
    'a body shorter by one': request('POST', 'Content-Length: 5\r\n', 'abcd') + get,
    'bytes that are no request': `${get}\x16\x03\x01\x02\x00`,
    'HTTP/0.9': `${get}GET /old\r\n`,
  },
};

const closings: Readonly<Record<string, string>> = {
  close: 'Connection: close\r\n',
  Close: 'Connection: Close\r\n',
  CLOSE: 'CONNECTION: CLOSE\r\n',
  'close and another': 'Connection: close, x\r\n',
  'another and close': 'Connection: x,close\r\n',
  'keep-alive and close': 'Connection: keep-alive, close\r\n',
  'two fields, close first': 'Connection: close\r\nConnection: keep-alive\r\n',
  'two fields, close last': 'Connection: keep-alive\r\nConnection: close\r\n',
  'in quotes': 'Connection: "close"\r\n',
  'with a parameter': 'Connection: close;q=1\r\n',
  'in another field': 'Proxy-Connection: close\r\n',
  'empty members': 'Connection: ,,close,,\r\n',
  closed: 'Connection: closed\r\n',
  empty: 'Connection:\r\n',
  'many options': 'Connection: a, b, c, d, e, f, g, h, i, j, k\r\n',
  'the name of Host': 'Connection: Host\r\n',
  'the name of Content-Length': 'Connection: Content-Length\r\n',
};

const ends: Family = {
  name: 'Connection, and more behind it',
  sound: true,
  cases: {
    ...Object.fromEntries(
      Object.entries(closings).map(([name, lines]) => [`GET, ${name}`, request('GET', lines) + get]),
    ),
    ...Object.fromEntries(
      Object.entries(closings).map(([name, lines]) => [`POST, ${name}`, sized('POST', 'abcd', lines) + get]),
    ),
    'chunked POST, close': chunked('POST', closings.close) + get,
  },
};

const http10: Family = {
  name: 'HTTP/1.0',
  sound: true,
  cases: {
    alone: request('GET', '', '', '1.0'),
    'and more': request('GET', '', '', '1.0') + get,
    'keep-alive and more': request('GET', 'Connection: keep-alive\r\n', '', '1.0') + get,
    'Keep-Alive and more': request('GET', 'Connection: Keep-Alive\r\n', '', '1.0') + get,
    'a list with keep-alive and more': request('GET', 'Connection: x, keep-alive\r\n', '', '1.0') + get,
    'keep-alive, close and more': request('GET', 'Connection: keep-alive, close\r\n', '', '1.0') + get,
    'close and more': request('GET', 'Connection: close\r\n', '', '1.0') + get,
    'a body': request('POST', 'Content-Length: 4\r\n', 'abcd', '1.0'),
    'a body, keep-alive and more':
      request('POST', 'Connection: keep-alive\r\nContent-Length: 4\r\n', 'abcd', '1.0') + get,
    'a body without a length': request('POST', '', 'abcd', '1.0'),
    'behind a sound one': get + request('GET', '', '', '1.0'),
  },
};

const websocket =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';

const expectations: Family = {
  name: 'Expect and Upgrade',
  sound: true,
  cases: {
    '100-continue with a length': sized('POST', 'abcd', 'Expect: 100-continue\r\n') + get,
    '100-continue with chunks': chunked('POST', 'Expect: 100-continue\r\n') + get,
    '100-continue in capitals': sized('POST', 'abcd', 'Expect: 100-CONTINUE\r\n') + get,
    '100-continue without a body': request('GET', 'Expect: 100-continue\r\n') + get,
    'another expectation': sized('POST', 'abcd', 'Expect: 200-ok\r\n') + get,
    'an empty expectation': sized('POST', 'abcd', 'Expect:\r\n') + get,
    '100-continue in HTTP/1.0':
      request('POST', 'Expect: 100-continue\r\nContent-Length: 4\r\nConnection: keep-alive\r\n', 'abcd', '1.0') + get,
    'Upgrade not answered': request('GET', websocket) + get,
    'Upgrade without Connection': request('GET', 'Upgrade: websocket\r\n') + get,
    'Connection: Upgrade alone': request('GET', 'Connection: Upgrade\r\n') + get,
    'Upgrade to h2c':
      request('GET', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n') + get,
    'Upgrade with a body': sized('POST', 'abcd', 'Connection: Upgrade\r\nUpgrade: x\r\n') + get,
    'Upgrade with chunks': chunked('POST', 'Connection: Upgrade\r\nUpgrade: x\r\n') + get,
    'Trailer announced': chunked('POST', 'Trailer: X\r\nTE: trailers\r\n') + get,
  },
};

const connect = (lines = '', body = '', target = 'h:443') =>
  `CONNECT ${target} HTTP/1.1\r\nHost: h:443\r\n${lines}\r\n${body}`;

const tunnels: Family = {
  name: 'CONNECT',
  sound: [
    'alone',
    'and a request',
    'and bytes',
    'with a length of zero',
    'to a path',
    'to an absolute target',
    'without a port',
    'behind a request',
    'in lower case',
    'with Upgrade',
  ],
  cases: {
    alone: connect(),
    'and a request': connect() + get,
    'and bytes': connect('', '\x16\x03\x01\x02\x00'),
    'with a length of zero': connect('Content-Length: 0\r\n') + get,
    'with a body': connect('Content-Length: 4\r\n', 'abcd') + get,
    'with chunks': connect('Transfer-Encoding: chunked\r\n', '0\r\n\r\n') + get,
    'to a path': connect('', '', '/a') + get,
    'to an absolute target': connect('', '', 'http://h/a') + get,
    'without a port': connect('', '', 'h') + get,
    'behind a request': get + connect() + get,
    'in lower case': `connect h:443 HTTP/1.1\r\nHost: h\r\n\r\n${get}`,
    'with Upgrade': connect(websocket) + get,
  },
};

/** Passed over before HTTP is read; a server that expects none refuses them. */
const proxyHeaders: Family = {
  name: 'PROXY headers',
  sound: ['version 1', 'version 1 of unknown origin', 'version 2, local'],
  cases: {
    'version 1': `PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\n${get}`,
    'version 1 of unknown origin': `PROXY UNKNOWN\r\n${get}`,
    'version 2, local': `\r\n\r\n\0\r\nQUIT\n\x20\0\0\0${get}`,
    'version 1 ended by bare LF': `PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\n${get}`,
    'version 1 behind a request': `${get}PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\n`,
    'version 2, of a version 3': `\r\n\r\n\0\r\nQUIT\n\x30\0\0\0${get}`,
    'a method that begins like it': `PROXYX /a HTTP/1.1 x\r\nHost: h\r\n\r\n${get}`,
  },
};

export const streamFamilies: readonly Family[] = [
  methodBodies,
  payloads,
  pipelines,
  doubtBehind,
  ends,
  http10,
  expectations,
  tunnels,
  proxyHeaders,
];
