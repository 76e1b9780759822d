// The relay of DNS: queries and answers by UDP and TCP, resolvers that are down or silent, clients that are many.
import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { DnsRelay } from '../../../../src/cli/run/netns/dns-relay.ts';
import { deadPort } from '../../../support/dead-port.ts';

const free = { host: '127.0.0.1', port: 0 };

async function udpServer(t: TestContext, answer: (query: Buffer, from: RemoteInfo, socket: Socket) => void) {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => answer(query, from, socket));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket.address().port;
}

async function relayTo(t: TestContext, port: number, timeoutMs?: number): Promise<DnsRelay> {
  const upstream = { host: '127.0.0.1', port };
  const relay = await DnsRelay.open({ udp: free, tcp: free, upstream, ...(timeoutMs !== undefined && { timeoutMs }) });
  t.after(() => relay.close());
  return relay;
}

async function client(t: TestContext, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  t.after(() => socket.close());
  return socket;
}

/** Only the header of a query (RFC 1035, section 4.1.1): RD set. */
function query(id: number, rest = ''): Buffer {
  const header = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, Buffer.from(rest)]);
}

test('answers come back to those who asked, whatever order they come in', async (t) => {
  const asked: [Buffer, RemoteInfo][] = [];
  const port = await udpServer(t, (bytes, from, socket) => {
    asked.push([bytes, from]);
    if (asked.length < 3) return;
    // The last one first.
    for (const [text, to] of asked.reverse()) socket.send(Buffer.concat([text, Buffer.from('!')]), to.port, to.address);
  });
  const relay = await relayTo(t, port);
  const clients = await Promise.all([1, 2, 3].map(() => client(t, relay.udpPort)));
  const answers = clients.map((socket) => once(socket, 'message') as Promise<[Buffer]>);
  for (const [i, socket] of clients.entries()) socket.send(query(7, `name${i}`));
  const got = (await Promise.all(answers)).map(([answer]) => answer.subarray(12).toString());
  assert.deepEqual(got, ['name0!', 'name1!', 'name2!']);
  assert.equal(new Set(asked.map(([, { port: from }]) => from)).size, 3, 'each query has a port of its own');
});

test('where no resolver listens the client hears so at once: SERVFAIL, with its id and question', async (t) => {
  const relay = await relayTo(t, await deadPort(t));
  const socket = await client(t, relay.udpPort);
  socket.send(query(0x1234, 'question'));
  const [answer] = (await once(socket, 'message')) as [Buffer];
  assert.deepEqual([...answer.subarray(0, 4)], [0x12, 0x34, 0x81, 0x02]);
  assert.equal(answer.subarray(12).toString(), 'question');
});

test('a resolver that stays silent costs its own query and no other', async (t) => {
  const port = await udpServer(t, (bytes, from, socket) => {
    if (bytes.includes('answer me')) socket.send(bytes, from.port, from.address);
  });
  const relay = await relayTo(t, port, 50);
  const socket = await client(t, relay.udpPort);
  socket.send(query(1, 'silence'));
  socket.send(query(2, 'answer me'));
  const [answer] = (await once(socket, 'message')) as [Buffer];
  assert.equal(answer.readUInt16BE(), 2);
  socket.send(query(3, 'answer me'));
  assert.equal(((await once(socket, 'message')) as [Buffer])[0].readUInt16BE(), 3);
});

test('what is too short to be a query is not asked', async (t) => {
  const seen: Buffer[] = [];
  const port = await udpServer(t, (bytes, from, socket) => {
    seen.push(bytes);
    socket.send(bytes, from.port, from.address);
  });
  const relay = await relayTo(t, port);
  const socket = await client(t, relay.udpPort);
  socket.send(Buffer.from('short'));
  socket.send(query(9));
  await once(socket, 'message');
  assert.equal(seen.length, 1);
});

test('by TCP a query and a long answer pass whole', async (t) => {
  const long = Buffer.alloc(200_000, 'x');
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const got: Buffer[] = [];
    socket.on('data', (bytes) => got.push(bytes));
    socket.on('end', () => socket.end(Buffer.concat([Buffer.concat(got), long])));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const relay = await relayTo(t, (server.address() as net.AddressInfo).port);
  const socket = net.connect({ host: '127.0.0.1', port: relay.tcpPort, allowHalfOpen: true });
  socket.end('query');
  const got: Buffer[] = [];
  for await (const bytes of socket) got.push(bytes as Buffer);
  assert.ok(Buffer.concat(got).equals(Buffer.concat([Buffer.from('query'), long])));
});

test('a TCP connection to a resolver that is down is reset', async (t) => {
  const relay = await relayTo(t, await deadPort(t));
  const socket = net.connect(relay.tcpPort, '127.0.0.1');
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});
