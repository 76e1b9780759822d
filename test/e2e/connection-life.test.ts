// Promise: any TCP connection may live beside the sidecar for a year, and what would harm the sidecar is bounded.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { sumOf } from '../../src/cli/demo/metrics-text.ts';
import { certificate } from '../support/certificate.ts';
import { eventually } from '../support/eventually.ts';
import { type OtlpSink, startOtlpSink } from '../support/otlp-sink.ts';
import { connectRaw, startRawServer } from '../support/raw-tcp.ts';
import { startSidecar } from '../support/sidecar.ts';

const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers every request head at once. */
const answering = {
  onData({ socket, bytes }: { socket: { write(text: string): void }; bytes(): Buffer }) {
    if (bytes().toString('latin1').endsWith('\r\n\r\n')) socket.write(ok);
  },
};

async function sidecarFor(t: Parameters<typeof startOtlpSink>[0], port: number, args: readonly string[]) {
  const sink: OtlpSink = await startOtlpSink(t);
  return { sink, sidecar: await startSidecar(t, { inbound: port, otlp: sink.url, args }) };
}

test('TLS passes unread, with one span that says whom the client asked for', async (t) => {
  const server = tls.createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => socket.end(`seen ${data.length}`));
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { sink, sidecar } = await sidecarFor(t, (server.address() as AddressInfo).port, []);
  const client = tls.connect({
    port: sidecar.inbound,
    host: '127.0.0.1',
    servername: 'shop.example',
    ca: certificate.cert,
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  t.after(() => client.destroy());
  await once(client, 'secureConnect');
  assert.equal(client.authorized, true);
  assert.equal(client.alpnProtocol, 'http/1.1');
  client.write('x'.repeat(1000));
  const [answer] = (await once(client, 'data')) as [Buffer];
  assert.equal(answer.toString(), 'seen 1000');
  client.destroy();
  const [span] = await sink.received(1);
  assert.equal(span!.name.replace(/:\d+$/, ''), 'tls shop.example');
  assert.equal(span!.kind, 'SERVER');
  assert.equal(span!.attributes.requested_server_name, 'shop.example');
  assert.equal(span!.attributes['tracecar.tls.alpn'], 'h2,http/1.1');
  assert.ok(Number(span!.attributes['tracecar.bytes_from_client']) > 1000);
  assert.deepEqual(
    span!.events.map((event) => event.name),
    ['first_byte'],
  );
  assert.ok(span!.events[0]!.timeNs >= span!.startNs && span!.events[0]!.timeNs <= span!.endNs);
});

test('the source a PROXY header names is the peer of the spans, and the header reaches the server', async (t) => {
  const server = await startRawServer(t, answering);
  const { sink, sidecar } = await sidecarFor(t, server.port, []);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(`PROXY TCP4 203.0.113.7 10.0.0.2 5678 80\r\n${request('/proxied')}`);
  await client.read(ok.length);
  assert.ok(
    server.connections[0]!.bytes().toString().startsWith('PROXY TCP4 203.0.113.7 10.0.0.2 5678 80\r\nGET /proxied'),
  );
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['peer.address'], '203.0.113.7');
  assert.equal(span!.attributes['client.address'], '203.0.113.7');
});

test('an idle connection is closed after --idle-timeout, and one that talks is not', async (t) => {
  const server = await startRawServer(t, answering);
  const { sidecar } = await sidecarFor(t, server.port, ['--idle-timeout', '300ms']);
  const idle = await connectRaw(t, sidecar.inbound);
  const busy = await connectRaw(t, sidecar.inbound);
  const talk = setInterval(() => busy.socket.write(request('/still-here')), 50);
  t.after(() => clearInterval(talk));
  assert.equal(await idle.closed, undefined);
  assert.equal(idle.bytes().length, 0);
  const soFar = busy.bytes().length;
  await busy.read(soFar + ok.length);
  assert.equal(sumOf(await sidecar.metrics(), 'tracecar_connections_idle_timeout_total'), 1);
});

test('a head that takes longer than --head-timeout passes unread, and the server decides what to make of it', async (t) => {
  const server = await startRawServer(t, {});
  const { sidecar } = await sidecarFor(t, server.port, ['--head-timeout', '200ms']);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write('GET /slow HTTP/1.1\r\nHost: h\r\nX-Slow: ');
  await eventually('what was held', () => server.connections[0]?.bytes().toString().endsWith('X-Slow: '));
  assert.equal(sumOf(await sidecar.metrics(), 'tracecar_connections_degraded_total', { reason: 'head_timeout' }), 1);
  client.socket.write('1\r\n\r\n');
  await eventually(
    'the head as it was sent',
    () => server.connections[0]!.bytes().toString() === 'GET /slow HTTP/1.1\r\nHost: h\r\nX-Slow: 1\r\n\r\n',
  );
});

test('with --strict a slow head is answered 408 and never completes at the server', async (t) => {
  const server = await startRawServer(t, {});
  const { sidecar } = await sidecarFor(t, server.port, ['--head-timeout', '200ms', '--strict']);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write('GET /slow HTTP/1.1\r\nHost: h\r\nX-Slow: ');
  const answer = (await client.readToEnd()).toString();
  assert.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  assert.ok(!server.connections[0]!.bytes().includes('X-Slow'));
});

test('with --strict a doubtful request is answered 400 behind the answers due before it', async (t) => {
  const server = await startRawServer(t, answering);
  const { sink, sidecar } = await sidecarFor(t, server.port, ['--strict']);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(`${request('/good')}GET /bad HTTP/1.1\r\nHost : h\r\n\r\n`);
  const answers = (await client.readToEnd()).toString();
  assert.match(answers, /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(answers, /connection: close\r\n[\s\S]*bad_field_name\n$/);
  assert.ok(!server.connections[0]!.bytes().includes('/bad'));
  const [span] = await sink.received(1);
  assert.equal(span!.attributes['url.path'], '/good');
  assert.equal(sumOf(await sidecar.metrics(), 'tracecar_requests_refused_total', { reason: 'bad_field_name' }), 1);
});

test('beyond --max-connections a connection is reset and counted, and there is room again when one ends', async (t) => {
  const server = await startRawServer(t, answering);
  const { sidecar } = await sidecarFor(t, server.port, ['--max-connections', '2']);
  const first = await connectRaw(t, sidecar.inbound);
  const second = await connectRaw(t, sidecar.inbound);
  for (const client of [first, second]) {
    client.socket.write(request('/in'));
    await client.read(ok.length);
  }
  // The reset may come before the client knows that it is connected.
  const refusal = connectRaw(t, sidecar.inbound).then((third) => third.closed);
  assert.equal(await refusal.catch((error: NodeJS.ErrnoException) => error.code), 'ECONNRESET');
  assert.equal(sumOf(await sidecar.metrics(), 'tracecar_connections_refused_total'), 1);
  first.socket.destroy();
  const again = await eventually('room for another', async () => {
    const client = await connectRaw(t, sidecar.inbound).catch(() => undefined);
    client?.socket.write(request('/again'));
    return client?.read(ok.length).catch(() => undefined);
  });
  assert.equal(again.toString(), ok);
  second.socket.write(request('/neighbour'));
  await second.read(2 * ok.length);
});

test('a flood of requests passes, its spans do not: the rest is counted', async (t) => {
  const server = await startRawServer(t, answering);
  const { sidecar } = await sidecarFor(t, server.port, ['--max-spans-per-second', '5']);
  const client = await connectRaw(t, sidecar.inbound);
  for (let i = 0; i < 50; i++) {
    client.socket.write(request(`/${i}`));
    await client.read((i + 1) * ok.length);
  }
  const ledger = await eventually('all spans settled', async () => {
    const now = await sidecar.ledger();
    return now.created === 50 && now.queued === 0 && now;
  });
  assert.equal(ledger.created, ledger.exported + ledger.dropped);
  const flood = sumOf(await sidecar.metrics(), 'tracecar_spans_dropped_total', { reason: 'flood' });
  assert.ok(flood >= 30 && flood <= 45, `${flood} spans were dropped`);
});

test('what lasts is shown part by part before its end', async (t) => {
  const server = await startRawServer(t, {
    onData({ socket }) {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n');
      let events = 0;
      const timer = setInterval(() => {
        if (++events <= 8) socket.write(`data: ${events}\n\n`);
        else {
          clearInterval(timer);
          socket.end();
        }
      }, 100);
      t.after(() => clearInterval(timer));
    },
  });
  const { sink, sidecar } = await sidecarFor(t, server.port, ['--heartbeat-interval', '200ms']);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request('/events'));
  const [part] = await sink.received(1);
  assert.equal(part!.name, 'GET part 1');
  assert.equal(part!.attributes['url.path'], '/events');
  assert.equal(part!.attributes['http.response.status_code'], 200);
  await client.readToEnd();
  client.socket.end();
  const spans = await sink.received(1, (span) => span.kind === 'SERVER');
  const span = spans.find(({ kind }) => kind === 'SERVER')!;
  const parts = sink.spans.filter(({ kind }) => kind !== 'SERVER');
  assert.ok(parts.length >= 2, `${parts.length} parts`);
  for (const [i, each] of parts.entries()) {
    assert.equal(each.parentSpanId, span.spanId);
    assert.equal(each.traceId, span.traceId);
    assert.equal(each.attributes['tracecar.part'], i + 1);
  }
  assert.equal(span.attributes['tracecar.messages_from_server'], 8);
  const inParts = parts.reduce((sum, each) => sum + Number(each.attributes['tracecar.messages_from_server']), 0);
  assert.ok(inParts >= 2 && inParts <= 8, `${inParts} messages in the parts`);
  assert.deepEqual(
    span.events.map((event) => event.name),
    ['first_byte'],
  );
});

test('a long poll is shown while it waits', async (t) => {
  const server = await startRawServer(t, {
    onData({ socket }) {
      const timer = setTimeout(() => socket.write(ok), 700);
      t.after(() => clearTimeout(timer));
    },
  });
  const { sink, sidecar } = await sidecarFor(t, server.port, ['--heartbeat-interval', '200ms']);
  const client = await connectRaw(t, sidecar.inbound);
  client.socket.write(request('/poll'));
  await client.read(ok.length);
  const [span] = await sink.received(1, ({ kind }) => kind === 'SERVER');
  const parts = sink.spans.filter(({ parentSpanId }) => parentSpanId === span!.spanId);
  assert.ok(parts.length >= 1);
  assert.equal(parts[0]!.attributes['http.response.status_code'], undefined);
});
