// What a connection speaks is found by reading along: whatever the pieces, no byte waits, none is lost, none is added.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, Observed } from './observed.ts';

const get = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
/** A ClientHello for `example.org` offering h2 and http/1.1, made by hand: RFC 8446 section 4.1.2. */
const clientHello = (() => {
  const u16 = (value: number) => [value >> 8, value & 0xff];
  const vector = (body: readonly number[]) => [...u16(body.length), ...body];
  const text = (value: string) => [...Buffer.from(value)];
  const name = text('example.org');
  const serverName = [...u16(0), ...vector(vector([0, ...vector(name)]))];
  const protocols = ['h2', 'http/1.1'].flatMap((protocol) => [protocol.length, ...text(protocol)]);
  const alpn = [...u16(16), ...vector(vector(protocols))];
  const body = [
    3,
    3,
    ...Array<number>(32).fill(7),
    0,
    ...vector([0x13, 0x01]),
    1,
    0,
    ...vector([...serverName, ...alpn]),
  ];
  const handshake = [1, 0, ...u16(body.length), ...body];
  return Buffer.from([0x16, 3, 1, ...vector(handshake)]).toString('latin1');
})();
const sslRequest = '\x00\x00\x00\x08\x04\xd2\x16\x2f';
const startup = '\x00\x00\x00\x21\x00\x03\x00\x00user\x00ada\x00database\x00shop\x00\x00';
const proxyV2 = `\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\x0a\x00\x00\x02\x1f\x90\x00\x50`;
const proxyV1 = 'PROXY TCP4 203.0.113.7 10.0.0.2 8080 80\r\n';

/** Sends `text` in two pieces, cut at every position, and then byte by byte. */
function everySplit(text: string, check: (seen: Observed, how: string) => void, after = ''): void {
  for (let at = 1; at <= text.length; at++) {
    const seen = new Observed().client(...[text.slice(0, at), text.slice(at)].filter((piece) => piece !== ''));
    if (after !== '') seen.server(after);
    check(seen.finish(), `cut at ${at}`);
  }
  const bytes = new Observed().client(...text);
  if (after !== '') bytes.server(after);
  check(bytes.finish(), 'byte by byte');
}

test('HTTP/1 is traced however its first bytes come', () => {
  for (const method of ['GET', 'POST', 'PUT', 'PRI', 'PROPFIND', 'P']) {
    const request = get.replace('GET', method);
    everySplit(
      request,
      (seen, how) => {
        assert.equal(seen.original, request, how);
        assert.equal(seen.insertions, 1, `${method} ${how}`);
        assert.deepEqual(seen.detected, ['http1'], how);
        assert.deepEqual(
          seen.spans.map((span) => [span.method, span.status]),
          [[method, 200]],
        );
      },
      ok,
    );
  }
});

test('a TLS connection gets one span with the name and the protocols its client asked for', () => {
  everySplit(clientHello, (seen, how) => {
    assert.equal(seen.forwarded, clientHello, how);
    assert.equal(seen.records.length, 1, how);
    const [record] = seen.records;
    assert.equal(record!.name, 'tls example.org:8080');
    assert.equal(record!.kind, 'SERVER');
    assert.equal(record!.attributes.requested_server_name, 'example.org');
    assert.equal(record!.attributes['tls.client.server_name'], 'example.org');
    assert.equal(record!.attributes['tracecar.tls.alpn'], 'h2,http/1.1');
    assert.deepEqual(seen.degraded, []);
  });
});

test('what only looks like TLS is opaque', () => {
  const seen = new Observed().client('\x16\x03\x01\x00\x05hello').finish();
  assert.deepEqual(seen.detected, ['tls', 'opaque']);
  assert.equal(seen.records[0]!.attributes['tracecar.protocol'], 'opaque');
});

test('PostgreSQL is told by its SSLRequest, with the TLS name or the database behind it', () => {
  everySplit(sslRequest + clientHello, (seen, how) => {
    assert.equal(seen.forwarded, sslRequest + clientHello, how);
    assert.equal(seen.records[0]!.attributes['tracecar.protocol'], 'postgresql', how);
    assert.equal(seen.records[0]!.attributes['tls.client.server_name'], 'example.org', how);
  });
  everySplit(sslRequest + startup, (seen, how) => {
    assert.equal(seen.forwarded, sslRequest + startup, how);
    assert.equal(seen.records[0]!.attributes['db.namespace'], 'shop', how);
    assert.equal(seen.records[0]!.attributes['tracecar.encrypted'], 'false', how);
  });
});

test('a PROXY header before HTTP is passed on and gives the address of the client', () => {
  for (const [header, address] of [
    [proxyV1, '203.0.113.7'],
    [proxyV2, '203.0.113.7'],
  ] as const) {
    everySplit(
      header + get,
      (seen, how) => {
        assert.equal(seen.original, header + get, how);
        assert.equal(seen.insertions, 1, how);
        assert.ok(seen.forwarded.startsWith(`${header}GET`), how);
        assert.deepEqual(seen.proxied, [address], how);
        assert.deepEqual(seen.detected, ['http1'], how);
      },
      ok,
    );
  }
});

test('a PROXY header before TLS leaves the TLS connection its name', () => {
  everySplit(proxyV2 + clientHello, (seen, how) => {
    assert.equal(seen.forwarded, proxyV2 + clientHello, how);
    assert.equal(seen.records[0]!.attributes['tls.client.server_name'], 'example.org', how);
  });
});

test('a broken PROXY header makes the connection opaque, counted', () => {
  const text = 'PROXY TCP9 nowhere\r\nGET / HTTP/1.1\r\n\r\n';
  everySplit(text, (seen, how) => {
    assert.equal(seen.forwarded, text, how);
    assert.equal(seen.insertions, 0, how);
    assert.deepEqual(seen.degraded, ['bad_proxy_header'], how);
    assert.equal(seen.records.length, 1, how);
  });
});

test('HTTP/2 with prior knowledge passes unread as one connection', () => {
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';
  everySplit(preface, (seen, how) => {
    assert.equal(seen.forwarded, preface, how);
    assert.deepEqual(seen.detected, ['http2'], how);
    assert.equal(seen.records[0]!.attributes['tracecar.protocol'], 'http2');
  });
});

test('lines of other protocols are opaque, not broken HTTP', () => {
  for (const line of [
    'EHLO client.example\r\n',
    'SSH-2.0-OpenSSH_9.2\r\n',
    '*1\r\n$4\r\nPING\r\n',
    'SET key value\r\n',
    'NICK a\n',
    '\x01\x02\x03',
  ]) {
    everySplit(line, (seen, how) => {
      assert.equal(seen.forwarded, line, how);
      assert.deepEqual(seen.degraded, [], `${line} ${how}`);
      assert.equal(seen.records.length, 1, `${line} ${how}`);
    });
  }
});

test('a server that speaks first makes the connection opaque, whatever the client says then', () => {
  const seen = new Observed()
    .server('220 mail ESMTP\r\n')
    .client('EHLO me\r\n')
    .server('250 ok\r\n')
    .client(get)
    .finish();
  assert.deepEqual(seen.detected, ['opaque']);
  assert.equal(seen.insertions, 0);
  assert.equal(seen.records.length, 1);
  assert.deepEqual(
    seen.records[0]!.events.map((event) => event.name),
    ['first_byte'],
  );
});

test('a 408 that nobody asked for does not hide the requests behind it', () => {
  const seen = new Observed()
    .server('HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n')
    .client(get)
    .server(ok)
    .finish();
  assert.equal(seen.stats.unsolicitedResponses, 1);
  assert.equal(seen.insertions, 1);
  assert.deepEqual(
    seen.spans.map((span) => span.status),
    [200],
  );
});

test('a connection without a byte makes no span', () => {
  const seen = new Observed().finish();
  assert.deepEqual([seen.records, seen.spans, seen.detected], [[], [], []]);
});

test('a WebSocket counts its messages and says when it began', () => {
  const head = 'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n';
  const frames = '\x81\x02hi\x01\x01a\x80\x01b\x89\x00';
  const answer = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${frames}`;
  for (let at = answer.length - frames.length; at < answer.length; at++) {
    const seen = new Observed()
      .client(head)
      .server(...cut(answer, [at]))
      .client('\x81\x82abcdxy', '\x82\x80abcd');
    seen.observer.sweep(Date.now() + 31_000);
    seen.finish();
    assert.deepEqual(seen.messages, [[2, 2]], `cut at ${at}`);
    assert.equal(seen.records[0]!.name, 'GET part 1');
    assert.equal(seen.records[0]!.attributes['tracecar.messages_from_server'], 2);
  }
});

test('server-sent events are counted, chunked or not', () => {
  const events = 'data: 1\n\ndata: 2\n\n: comment\n\ndata: 3\n\n';
  const chunked = [...events.matchAll(/.{1,5}/gs)]
    .map(([part]) => `${part.length.toString(16)}\r\n${part}\r\n`)
    .join('');
  for (const [fields, body] of [
    ['Transfer-Encoding: chunked\r\n', `${chunked}0\r\n\r\n`],
    ['', events],
  ]) {
    const answer = `HTTP/1.1 200 OK\r\n${fields}Content-Type: text/event-stream; charset=utf-8\r\n\r\n${body}`;
    const seen = new Observed()
      .client(get)
      .server(...answer)
      .finish();
    assert.deepEqual(seen.messages, [[-1, 3]]);
    assert.equal(seen.spans[0]!.responseBytes, events.length);
  }
});
