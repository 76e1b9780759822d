import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createOtlpHttpTransport } from '../../../src/sidecar/export/otlp-http-transport.ts';

interface Post {
  readonly head: string;
  readonly body: Buffer;
  readonly socket: Socket;
}

/** A server that hands each whole POST to `answer`; counts connections. */
class FakePeer {
  connections = 0;
  readonly posts: Post[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(answer: (post: Post, n: number) => void) {
    this.#server = createServer((socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('error', () => {});
      let seen = Buffer.alloc(0);
      socket.on('data', (chunk) => {
        seen = Buffer.concat([seen, chunk]);
        const end = seen.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = seen.subarray(0, end + 4).toString('latin1');
        const length = Number(/content-length: (\d+)/.exec(head)?.[1]);
        if (seen.length < end + 4 + length) return;
        const post = { head, body: Buffer.from(seen.subarray(end + 4, end + 4 + length)), socket };
        seen = seen.subarray(end + 4 + length);
        this.posts.push(post);
        answer(post, this.posts.length);
      });
    });
  }

  async start(t: TestContext): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    t.after(() => {
      for (const socket of this.#sockets) socket.destroy();
      this.#server.close();
    });
    const address = this.#server.address();
    assert.ok(typeof address === 'object' && address !== null);
    return `http://127.0.0.1:${address.port}/v1/traces`;
  }
}

const defaults = { timeoutMs: 5_000, headers: {}, compression: 'none', tls: {} } as const;
const body = Buffer.from('spans');
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';

async function transportTo(
  t: TestContext,
  peer: FakePeer,
  more: Partial<Parameters<typeof createOtlpHttpTransport>[0]> = {},
) {
  const transport = createOtlpHttpTransport({ ...defaults, url: await peer.start(t), ...more });
  t.after(() => transport.close());
  return transport;
}

test('a request is a well-formed POST and its answer body comes back, however it is cut', async (t) => {
  for (let split = 1; split < ok.length; split++) {
    const peer = new FakePeer(({ socket }) => {
      socket.setNoDelay(true);
      socket.write(ok.slice(0, split), () => setImmediate(() => socket.write(ok.slice(split))));
    });
    const transport = await transportTo(t, peer, { headers: { 'x-key': 'secret' } });
    const outcome = await transport.send(body, { 'tracecar-batch': 'i/1/0' });
    assert.deepEqual(outcome, { kind: 'accepted', response: Uint8Array.from(Buffer.from('hi')) });
    const [post] = peer.posts;
    assert.match(
      post!.head,
      /^POST \/v1\/traces HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\ncontent-type: application\/x-protobuf\r\nx-key: secret\r\ntracecar-batch: i\/1\/0\r\ncontent-length: 5\r\n\r\n$/,
    );
    assert.deepEqual(post!.body, body);
  }
});

test('requests one after another share a connection, requests at a time do not', async (t) => {
  const peer = new FakePeer(({ socket }) => socket.write(ok));
  const transport = await transportTo(t, peer);
  await transport.send(body);
  await transport.send(body);
  assert.equal(peer.connections, 1);
  await Promise.all([transport.send(body), transport.send(body)]);
  assert.equal(peer.connections, 2);
});

test('chunked answers, interim answers and answers until close are read', async (t) => {
  const answers = [
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\nh\r\n1\r\ni\r\n0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.0 200 OK\r\n\r\nuntil close',
  ];
  const peer = new FakePeer(({ socket }, n) => {
    socket.write(answers[n - 1]!);
    if (n === 3) socket.end();
  });
  const transport = await transportTo(t, peer);
  const texts: string[] = [];
  for (let i = 0; i < 3; i++) {
    const outcome = await transport.send(body);
    assert.equal(outcome.kind, 'accepted');
    if (outcome.kind === 'accepted') texts.push(Buffer.from(outcome.response).toString());
  }
  assert.deepEqual(texts, ['hi', '', 'until close']);
});

test('statuses are judged by the table', async (t) => {
  const lines = ['503 X\r\nRetry-After: 7', '429 X', '400 X', '404 X', '500 X'];
  const peer = new FakePeer(({ socket }, n) => socket.write(`HTTP/1.1 ${lines[n - 1]}\r\nContent-Length: 0\r\n\r\n`));
  const transport = await transportTo(t, peer);
  const outcomes = [];
  for (const _ of lines) outcomes.push(await transport.send(body));
  assert.deepEqual(outcomes, [
    { kind: 'retry', reason: 'HTTP 503', delayMs: 7000 },
    { kind: 'retry', reason: 'HTTP 429' },
    { kind: 'rejected', reason: 'HTTP 400', splittable: true },
    { kind: 'rejected', reason: 'HTTP 404', splittable: false },
    { kind: 'rejected', reason: 'HTTP 500', splittable: false },
  ]);
});

test('a connection the peer closed while it was idle costs no attempt', async (t) => {
  const peer = new FakePeer(({ socket }, n) => {
    if (n === 2) socket.resetAndDestroy();
    else socket.write(ok);
  });
  const transport = await transportTo(t, peer);
  assert.equal((await transport.send(body)).kind, 'accepted');
  assert.equal((await transport.send(body)).kind, 'accepted');
  assert.deepEqual([peer.posts.length, peer.connections], [3, 2]);
});

test('a peer that is gone, closes early, babbles or is silent is a retry with its reason', async (t) => {
  const gone = createOtlpHttpTransport({ ...defaults, url: 'http://127.0.0.1:1/' });
  assert.deepEqual(await gone.send(body), { kind: 'retry', reason: 'ECONNREFUSED' });
  const closes = await transportTo(t, new FakePeer(({ socket }) => socket.end()));
  assert.deepEqual(await closes.send(body), { kind: 'retry', reason: 'connection closed before the answer' });
  const babbles = await transportTo(t, new FakePeer(({ socket }) => socket.write('SSH-2.0-x\r\n')));
  assert.deepEqual(await babbles.send(body), { kind: 'retry', reason: 'no HTTP answer: bad_status_line' });
  const silent = await transportTo(t, new FakePeer(() => {}), { timeoutMs: 30 });
  assert.deepEqual(await silent.send(body), { kind: 'retry', reason: 'no answer within 30 ms' });
});

test('a connection works again after the peer has come back', async (t) => {
  const peer = new FakePeer(({ socket }, n) => {
    if (n === 1) socket.resetAndDestroy();
    else socket.write(ok);
  });
  const transport = await transportTo(t, peer);
  assert.equal((await transport.send(body)).kind, 'retry');
  assert.equal((await transport.send(body)).kind, 'accepted');
});

test('gzip and credentials of the URL are sent', async (t) => {
  const peer = new FakePeer(({ socket }) => socket.write(ok));
  const url = (await peer.start(t)).replace('//', '//user:p%40ss@');
  const transport = createOtlpHttpTransport({ ...defaults, url, compression: 'gzip' });
  t.after(() => transport.close());
  assert.equal((await transport.send(body)).kind, 'accepted');
  assert.match(peer.posts[0]!.head, /content-encoding: gzip\r\n/);
  assert.match(peer.posts[0]!.head, /authorization: Basic dXNlcjpwQHNz\r\n/);
  assert.deepEqual(gunzipSync(peer.posts[0]!.body), body);
});

test('a header that would break the head is refused at start', () => {
  const headers = { 'x-key': 'a\r\nx-evil: 1' };
  assert.throws(
    () => createOtlpHttpTransport({ ...defaults, url: 'http://x/', headers }),
    /Invalid character in header/,
  );
});
