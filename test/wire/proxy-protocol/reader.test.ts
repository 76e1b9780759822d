import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatIPv6 } from '../../../src/wire/proxy-protocol/address.ts';
import { couldBeProxyHeader, ProxyHeaderReader } from '../../../src/wire/proxy-protocol/reader.ts';

const signature = '0d0a0d0a000d0a515549540a';
const none = { local: false, source: ['', 0], destination: ['', 0] };

/** Reads in pieces; `end` is where the header ended in the whole, or -1. */
function readPieces(bytes: Uint8Array, cuts: readonly number[]) {
  const reader = new ProxyHeaderReader();
  let end = 0;
  let start = 0;
  for (const cut of [...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length]) {
    const padded = Buffer.concat([Buffer.alloc(2, 0x0d), bytes.subarray(start, cut), Buffer.alloc(3, 0x0a)]);
    const to = 2 + cut - start;
    const read = reader.read(padded, 2, to);
    assert.ok(read === -1 || (read >= 2 && read <= to), `${read} is within the piece`);
    if (read === -1) return { end: -1, ...none };
    if (!reader.done) assert.equal(read, to, 'all is read until the header is done');
    end = start + read - 2;
    if (reader.done) break;
    start = cut;
  }
  if (!reader.done) return { end: 'more' as const, ...none };
  const { local, sourceAddress, sourcePort, destinationAddress, destinationPort } = reader;
  return { end, local, source: [sourceAddress, sourcePort], destination: [destinationAddress, destinationPort] };
}

function v2(verCmd: string, family: string, length: number, ...blocks: (string | Buffer)[]): Buffer {
  const fixed = Buffer.from(`${signature}${verCmd}${family}${length.toString(16).padStart(4, '0')}`, 'hex');
  return Buffer.concat([
    fixed,
    ...blocks.map((block) => (typeof block === 'string' ? Buffer.from(block, 'hex') : block)),
  ]);
}

function path(text: string): Buffer {
  const block = Buffer.alloc(108);
  block.write(text, 'latin1');
  return block;
}

const line = (text: string): Buffer => Buffer.from(text, 'latin1');
const longest =
  'PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n';
const v4Block = 'c0a80001c0a8000bdc0401bb';
const v6Block = '20010db8000000000000000000000001fe80000000000000abcd000000000001dc0401bb';

type Expected = Omit<ReturnType<typeof readPieces>, 'end'>;
const local: Expected = { ...none, local: true };
const v4: Expected = { local: false, source: ['192.168.0.1', 56324], destination: ['192.168.0.11', 443] };

const valid: Readonly<Record<string, readonly [Buffer, Expected]>> = {
  'version 1 over IPv4': [line('PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n'), v4],
  'version 1 over IPv6': [
    line('PROXY TCP6 2001:DB8::1 fe80::abcd 0 65535\r\n'),
    { local: false, source: ['2001:DB8::1', 0], destination: ['fe80::abcd', 65535] },
  ],
  'version 1 of an unknown protocol': [line('PROXY UNKNOWN\r\n'), local],
  'version 1 of an unknown protocol in the longest line there can be': [line(longest), local],
  'version 2 over IPv4': [v2('21', '11', 12, v4Block), v4],
  'version 2 over IPv4 and UDP': [v2('21', '12', 12, v4Block), v4],
  'version 2 with fields behind the addresses': [v2('21', '11', 12 + 300, v4Block, Buffer.alloc(300, 0x0a)), v4],
  'version 2 of HAProxy 2.6 with its checksum and unique id': [
    Buffer.from('0d0a0d0a000d0a515549540a211100177f0000017f000001a1926e1703000449b8035105000132', 'hex'),
    { local: false, source: ['127.0.0.1', 41362], destination: ['127.0.0.1', 28183] },
  ],
  'version 2 over IPv6': [
    v2('21', '21', 36, v6Block),
    { local: false, source: ['2001:db8::1', 56324], destination: ['fe80::abcd:0:0:1', 443] },
  ],
  'version 2 of UNIX sockets': [
    v2('21', '31', 216, path('/run/client\nsock'), path('/'.padEnd(108, 'p'))),
    { local: false, source: ['/run/client?sock', 0], destination: ['/'.padEnd(108, 'p'), 0] },
  ],
  'version 2 of an abstract and an unnamed UNIX socket': [
    v2('21', '32', 216, path('\0hidden'), path('')),
    { local: false, source: ['', 0], destination: ['', 0] },
  ],
  'version 2 of a health check': [v2('20', '00', 0), local],
  'version 2 of a health check with addresses': [v2('20', '11', 12, v4Block), local],
  'version 2 of a health check with a family that is none': [v2('20', 'ff', 2, 'abcd'), local],
  'version 2 of an unspecified family': [v2('21', '00', 5, '0102030405'), local],
  'version 2 of an unspecified protocol': [v2('21', '10', 12, v4Block), local],
  'version 2 of the greatest length': [v2('21', '11', 65535, v4Block, Buffer.alloc(65523)), v4],
};

for (const [what, [header, expected]] of Object.entries(valid)) {
  test(`${what} is read and ends where what follows begins, wherever it is split`, () => {
    const bytes = Buffer.concat([header, line('GET / HTTP/1.1\r\n\r\n')]);
    const cuts = header.length > 1000 ? [0, 1, 15, 16, 17, 27, 28, 29, 60_000, 65_550, 65_551] : [...bytes.keys()];
    for (const cut of cuts) {
      assert.deepEqual(readPieces(bytes, [cut]), { end: header.length, ...expected }, `split at ${cut}`);
      if (cut < header.length) assert.equal(readPieces(header.subarray(0, cut), []).end, 'more', `cut at ${cut}`);
      assert.equal(couldBeProxyHeader(bytes, 0, cut), true);
    }
    assert.deepEqual(readPieces(bytes, cuts), { end: header.length, ...expected });
  });
}

const invalid: Readonly<Record<string, Buffer>> = {
  'an HTTP request': line('PUT / HTTP/1.1\r\n\r\n'),
  'an HTTP request with that method': line('PROXY / HTTP/1.1\r\n\r\n'),
  'lower case': line('proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n'),
  'a family that is none': line('PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n'),
  'a family like UNKNOWN': line('PROXY UNKNOWNS\r\n'),
  'no family': line('PROXY \r\n'),
  'no space behind the signature': line('PROXY\r\n'),
  'two spaces': line('PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n'),
  'a space at the end': line('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n'),
  'a tab': line('PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n'),
  'a field too many': line('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n'),
  'a field too few': line('PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n'),
  'IPv6 as IPv4': line('PROXY TCP4 ::1 ::1 1 2\r\n'),
  'IPv4 as IPv6': line('PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n'),
  'a zone': line('PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n'),
  'heading zeroes in an address': line('PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n'),
  'heading zeroes in a port': line('PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n'),
  'a port above 65535': line('PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n'),
  'a signed port': line('PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n'),
  'a host name': line('PROXY TCP4 localhost 1.2.3.4 1 2\r\n'),
  'a bare LF': line('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n'),
  'a bare CR': line('PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rGET /\r\n'),
  'a NUL': line('PROXY UNKNOWN \0\r\n'),
  'a byte above ASCII': line('PROXY UNKNOWN \xff\r\n'),
  'a line of 108 bytes': line(longest.replace('\r\n', ' \r\n')),
  'a line without an end': line(`PROXY UNKNOWN ${'a'.repeat(200)}`),
  'half the signature of version 2, then other bytes': line('\r\n\r\n\0\r\nQUITE'),
  'empty lines before an HTTP request': line('\r\n\r\nGET / HTTP/1.1\r\n\r\n'),
  'version 1 in binary': v2('11', '11', 12, v4Block),
  'version 3 in binary': v2('31', '11', 12, v4Block),
  'a command that is none': v2('22', '11', 12, v4Block),
  'an address family that is none': v2('21', '41', 12, v4Block),
  'a protocol that is none': v2('21', '13', 12, v4Block),
  'an unspecified family with a protocol that is none': v2('21', '0f', 0),
  'an unspecified protocol of a family that is none': v2('21', '50', 0),
  'IPv4 addresses cut short': v2('21', '11', 11, v4Block),
  'IPv6 addresses of the length of IPv4': v2('21', '21', 12, v4Block),
  'UNIX addresses cut short': v2('21', '31', 215, Buffer.alloc(216)),
};

for (const [what, bytes] of Object.entries(invalid)) {
  test(`${what} is no PROXY header, wherever it is split`, () => {
    for (let cut = 0; cut <= bytes.length; cut++) assert.equal(readPieces(bytes, [cut]).end, -1, `split at ${cut}`);
    assert.equal(readPieces(bytes, [...bytes.keys()]).end, -1);
  });
}

test('a reader that failed stays so, and one that is done reads nothing more', () => {
  const failed = new ProxyHeaderReader();
  assert.equal(failed.read(line('PROXX'), 0, 5), -1);
  assert.equal(failed.read(line('PROXY UNKNOWN\r\n'), 0, 15), -1);
  assert.equal(failed.done, false);
  const done = new ProxyHeaderReader();
  assert.equal(done.read(line('PROXY UNKNOWN\r\nPROXY'), 0, 20), 15);
  assert.equal(done.read(line('PROXY TCP4'), 3, 10), 3);
});

test('the prefix test knows the first bytes from others', () => {
  const starts: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['P', true],
    ['PROXY ', true],
    ['PROXY / HTTP', true],
    ['PR ', false],
    ['PRI * HTTP/2.0\r\n', false],
    ['POST /', false],
    ['\r\n', true],
    ['\r\n\r\n\0\r\nQUIT\n\x21', true],
    ['\r\nGET', false],
    ['\n', false],
  ];
  for (const [text, expected] of starts) {
    assert.equal(couldBeProxyHeader(line(`xP${text}ROXY`), 2, 2 + text.length), expected, JSON.stringify(text));
  }
});

test('an IPv6 address is written as RFC 5952 recommends', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['20010db8000000000000000000000000', '2001:db8::'],
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['20010000000000010000000000000001', '2001:0:0:1::1'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['00000000000000000000ffffc0000280', '::ffff:192.0.2.128'],
  ];
  for (const [hex, text] of cases) assert.equal(formatIPv6(Buffer.from(hex, 'hex'), 0), text);
});

test('any IPv6 address is written as another would write it', () => {
  const byte = fc.oneof(fc.constant(0), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(fc.array(byte, { minLength: 16, maxLength: 16 }), (bytes) => {
      const text = formatIPv6(Uint8Array.from(bytes), 0);
      assert.equal(isIPv6(text), true);
      // The URL standard writes mapped addresses without a dotted quad, and all others alike.
      fc.pre(!text.startsWith('::ffff:'));
      const groups = Array.from({ length: 8 }, (_, at) => (bytes[at * 2]! * 256 + bytes[at * 2 + 1]!).toString(16));
      assert.equal(new URL(`http://[${groups.join(':')}]`).hostname, `[${text}]`);
    }),
  );
});

test('random bytes behind a signature neither throw nor depend on how they are split', () => {
  const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 1.2.3.4 ', Buffer.from(signature, 'hex').toString('latin1'));
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc
      .tuple(fc.constantFrom('\x20', '\x21'), fc.constantFrom('\x11', '\x21', '\x31'), fc.nat({ max: 300 }))
      .map(
        ([command, family, length]) =>
          `${command}${family}${String.fromCharCode(length >> 8, length & 255)}${'\x07'.repeat(300)}`,
      ),
    fc.string({ maxLength: 120 }).map((text) => `${text}\r\n`),
  );
  fc.assert(
    fc.property(start, body, fc.array(fc.nat({ max: 450 }), { maxLength: 6 }), (head, rest, cuts) => {
      const bytes = line(head + rest);
      assert.deepEqual(readPieces(bytes, cuts), readPieces(bytes, []));
    }),
    { numRuns: 2000 },
  );
});
