import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { ClientHelloReader, couldBeClientHello } from '../../../src/wire/tls/client-hello.ts';
import { captured, type Extension, hello, helloMessage, records, serverNames } from './hellos.ts';

function summaryOf(reader: ClientHelloReader) {
  const { state, serverName, alpn, version } = reader;
  return { state, serverName, alpn: [...alpn], version };
}

function readWhole(bytes: Uint8Array) {
  const reader = new ClientHelloReader();
  reader.read(bytes, 0, bytes.length);
  return summaryOf(reader);
}

/** Reads the bytes in pieces, each in a copy of its own at an offset, as a socket would hand them over. */
function readPieces(bytes: Uint8Array, cuts: readonly number[]) {
  const reader = new ClientHelloReader();
  let start = 0;
  for (const end of [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]) {
    const padded = Buffer.concat([Buffer.alloc(3, 0xff), bytes.subarray(start, end), Buffer.alloc(5, 0xff)]);
    reader.read(padded, 3, 3 + end - start);
    start = end;
  }
  return summaryOf(reader);
}

for (const { client, hex, expected } of captured) {
  const bytes = Buffer.from(hex, 'hex');

  test(`the ClientHello of ${client} is read, and ends at its last byte`, () => {
    assert.deepEqual(readWhole(bytes), { state: 'done', ...expected });
    for (let end = 0; end < bytes.length; end++) {
      assert.equal(readWhole(bytes.subarray(0, end)).state, 'reading', `cut at ${end}`);
      assert.equal(couldBeClientHello(bytes, 0, end), true);
    }
  });

  test(`the ClientHello of ${client} is the same wherever it is split`, () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.deepEqual(readPieces(bytes, [cut]), { state: 'done', ...expected }, `split at ${cut}`);
    }
    const everyByte = Array.from(bytes, (_, at) => at);
    assert.deepEqual(readPieces(bytes, everyByte), { state: 'done', ...expected });
  });

  test(`the ClientHello of ${client} is the same in any records and any segments`, () => {
    const message = bytes.subarray(5);
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat({ max: bytes.length * 2 }), { maxLength: 12 }),
        (sizes, cuts) => {
          assert.deepEqual(readPieces(records(message, sizes), cuts), { state: 'done', ...expected });
        },
      ),
      { numRuns: 60 },
    );
  });
}

/** The first bytes that Node's own TLS client sends. */
async function nodeHello(options: tls.ConnectionOptions): Promise<Buffer> {
  const sent: Buffer[] = [];
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      sent.push(chunk);
      wire.emit('sent');
      done();
    },
  });
  const socket = tls.connect({ socket: wire, ...options });
  socket.on('error', () => {});
  if (sent.length === 0) await once(wire, 'sent');
  socket.destroy();
  return Buffer.concat(sent);
}

test('what a live TLS client was told to send is what is read', async () => {
  const options = { servername: 'Shop.Example.COM', ALPNProtocols: ['h2', 'http/1.1', 'acme-tls/1'] };
  const bytes = await nodeHello({ ...options, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' });
  const expected = { serverName: 'shop.example.com', alpn: options.ALPNProtocols, version: 0x0304 };
  assert.deepEqual(readWhole(bytes), { state: 'done', ...expected });
  const older = await nodeHello({ maxVersion: 'TLSv1.2' });
  assert.deepEqual(readWhole(older), { state: 'done', serverName: '', alpn: [], version: 0x0303 });
});

const hostName = (name: string): Extension => serverNames([[0, name]]);

test('a ClientHello without extensions is read', () => {
  assert.deepEqual(readWhole(hello(undefined)), { state: 'done', serverName: '', alpn: [], version: 0x0303 });
  assert.deepEqual(readWhole(hello([])), { state: 'done', serverName: '', alpn: [], version: 0x0303 });
});

test('of several server names the first host name is taken', () => {
  const extension = serverNames([
    [7, 'not a host'],
    [0, 'first.example'],
    [0, 'second.example'],
  ]);
  assert.equal(readWhole(hello([extension, hostName('third.example')])).serverName, 'first.example');
});

const names: readonly (readonly [string, string])[] = [
  ['a.example', 'a.example'],
  ['_dns.A-1.example.', '_dns.a-1.example.'],
  ['a'.repeat(255), 'a'.repeat(255)],
  ['a'.repeat(256), ''],
  ['a'.repeat(60_000), ''],
  ['a b', ''],
  ['evil\r\nname', ''],
  ['evil\0.example', ''],
  ['b\u00fccher.example', ''],
  ['', ''],
];

for (const [sent, read] of names) {
  test(`the server name ${JSON.stringify(sent.slice(0, 20))} of ${sent.length} bytes is read as ${JSON.stringify(read.slice(0, 20))}`, () => {
    const bytes = hello([hostName(sent)]);
    const expected = { state: 'done', serverName: read, alpn: [], version: 0x0303 };
    assert.deepEqual(readWhole(bytes), expected);
    assert.deepEqual(readPieces(bytes, [20, 56, 57, 61, 70]), expected);
  });
}

function alpn(...protocols: string[]): Extension {
  const list = Buffer.concat(
    protocols.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`, 'latin1')),
  );
  return [16, Buffer.concat([Buffer.from([list.length >> 8, list.length & 255]), list])];
}

test('protocols are printable, without GREASE, and at most sixteen', () => {
  assert.deepEqual(readWhole(hello([alpn('\x3a\x3a', '\x0a\x0a', 'h2', 'a\r\nb', '\xff')])).alpn, ['h2', 'a??b', '?']);
  const many = Array.from({ length: 40 }, (_, at) => `p${at}`);
  assert.deepEqual(readWhole(hello([alpn(...many)])).alpn, many.slice(0, 16));
  assert.deepEqual(readWhole(hello([alpn('h2'), alpn('h3')])).alpn, ['h2']);
});

test('the version is the highest offered, without GREASE and drafts', () => {
  const versions = (...list: number[]): Extension => [43, Buffer.from([list.length, ...list])];
  assert.equal(readWhole(hello([versions(0x8a, 0x8a, 0x7f, 0x1c, 3, 3, 3, 4, 3, 1)])).version, 0x0304);
  assert.equal(readWhole(hello([versions(3, 1)])).version, 0x0303);
});

test('an outer ClientHello of Encrypted Client Hello says the public name', () => {
  const encrypted: Extension = [0xfe0d, Buffer.from('0000010001ab002011'.padEnd(400, '7'), 'hex')];
  assert.equal(readWhole(hello([encrypted, hostName('public.example'), alpn('h2')])).serverName, 'public.example');
});

const ok = hello([hostName('a.example'), alpn('h2')]);

function patched(at: number, ...bytes: number[]): Buffer {
  const copy = Buffer.from(ok);
  copy.set(bytes, at);
  return copy;
}

const malformed: Readonly<Record<string, Buffer>> = {
  'an HTTP request': Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  'an alert record': patched(0, 21),
  'SSL 2': Buffer.from('802e0100020015', 'hex'),
  'a record of another major version': patched(1, 2),
  'a record of no known version': patched(2, 5),
  'an empty record': patched(3, 0, 0),
  'a record over 16 KiB': patched(3, 0x40, 0x01),
  'a ServerHello': patched(5, 2),
  'a message over 64 KiB': patched(6, 1, 0, 1),
  'a message of 16 MiB': patched(6, 0xff, 0xff, 0xff),
  'a message too short for a version': patched(6, 0, 0, 1),
  'a session id over 32 bytes': patched(43, 33),
  'no cipher suite': patched(44, 0, 0),
  'half a cipher suite': patched(44, 0, 3),
  'cipher suites longer than the message': patched(44, 0xff, 0xfe),
  'no compression method': patched(48, 0),
  'extensions shorter than the message': patched(50, 0, 1),
  'an extension longer than the message': patched(54, 0xff, 0xff),
  'an empty server_name extension': hello([[0, Buffer.alloc(0)]]),
  'an empty list of server names': hello([[0, Buffer.alloc(2)]]),
  'an empty list of server names with bytes behind it': hello([[0, Buffer.alloc(3)]]),
  'server names longer than their extension': hello([[0, Buffer.from([0, 9, 0, 0, 1, 0x61])]]),
  'a server name longer than its list': hello([[0, Buffer.from([0, 4, 0, 0, 9, 0x61])]]),
  'an empty list of protocols': hello([[16, Buffer.from([0, 0])]]),
  'a protocol without a name': hello([[16, Buffer.from([0, 1, 0])]]),
  'a protocol longer than its list': hello([[16, Buffer.from([0, 2, 2, 0x61])]]),
  'half a version': hello([[43, Buffer.from([3, 3, 4, 3])]]),
};

for (const [what, bytes] of Object.entries(malformed)) {
  test(`${what} fails, wherever it is split`, () => {
    for (let cut = 0; cut <= bytes.length; cut++) assert.equal(readPieces(bytes, [cut]).state, 'failed', `at ${cut}`);
  });
}

test('another record in the middle of the message fails', () => {
  const message = ok.subarray(5);
  const bytes = Buffer.concat([records(message.subarray(0, 50), [50]), Buffer.from([23, 3, 3, 0, 1, 0])]);
  assert.equal(readWhole(bytes).state, 'failed');
});

test('what follows the message is not looked at', () => {
  const reader = new ClientHelloReader();
  reader.read(Buffer.concat([ok, Buffer.from('anything')]), 0, ok.length + 8);
  reader.read(Buffer.from('more'), 0, 4);
  assert.deepEqual(summaryOf(reader), { state: 'done', serverName: 'a.example', alpn: ['h2'], version: 0x0303 });
});

test('a message of just under 64 KiB in records of one byte is read', () => {
  const bytes = records(helloMessage([[0x1234, Buffer.alloc(60_000)], hostName('late.example')]), [1]);
  assert.equal(readWhole(bytes).serverName, 'late.example');
});

test('the prefix test knows the first bytes from others', () => {
  const starts: readonly (readonly [string, boolean])[] = [
    ['', true],
    ['16', true],
    ['1603010200', true],
    ['160301020001', true],
    ['160301020002', false],
    ['160305', false],
    ['1602', false],
    ['1603014101', false],
    ['47', false],
  ];
  for (const [hex, expected] of starts) {
    const bytes = Buffer.from(`ff${hex}ff`, 'hex');
    assert.equal(couldBeClientHello(bytes, 1, bytes.length - 1), expected, hex);
  }
});

test('neither random bytes nor a damaged ClientHello make the reader throw or change its mind', () => {
  const base = Buffer.from(captured[0]!.hex, 'hex');
  const damaged = fc
    .array(fc.tuple(fc.nat({ max: base.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 })
    .map((changes) => {
      const copy = Buffer.from(base);
      for (const [at, byte] of changes) copy[at] = byte;
      return copy;
    });
  const headed = fc
    .uint8Array({ maxLength: 600 })
    .map((body) => records(Buffer.from([1, 0, 1, 0, 3, 3, ...body]), [99]));
  fc.assert(
    fc.property(
      fc.oneof(fc.uint8Array({ maxLength: 600 }), damaged, headed),
      fc.array(fc.nat({ max: 800 }), { maxLength: 8 }),
      (bytes, cuts) => {
        const whole = readWhole(bytes);
        assert.deepEqual(readPieces(bytes, cuts), whole);
        assert.ok(whole.serverName.length <= 255 && whole.alpn.length <= 16);
        assert.match(whole.serverName, /^[a-z0-9._-]*$/);
        for (const protocol of whole.alpn) assert.match(protocol, /^[\x20-\x7e]{1,255}$/);
      },
    ),
    { numRuns: 1000 },
  );
});
