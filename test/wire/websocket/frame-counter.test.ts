import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import { FrameCounter } from '../../../src/wire/websocket/frame-counter.ts';

function countsOf({ messages, frames, controlFrames, failed }: FrameCounter) {
  return { messages, frames, controlFrames, failed };
}

function countPieces(bytes: Uint8Array, cuts: readonly number[] = []) {
  const counter = new FrameCounter();
  let start = 0;
  for (const cut of [...cuts.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length]) {
    const padded = Buffer.concat([Buffer.alloc(2, 0x81), bytes.subarray(start, cut), Buffer.alloc(3, 0x81)]);
    counter.read(padded, 2, 2 + cut - start);
    start = cut;
  }
  return countsOf(counter);
}

interface Frame {
  readonly opcode: number;
  readonly final?: boolean;
  readonly bytes?: number;
  readonly masked?: boolean;
  /** Bytes that say the length; by default as few as can. */
  readonly lengthBytes?: 0 | 2 | 8;
  readonly reserved?: number;
}

function frame({ opcode, final = true, bytes = 0, masked = false, lengthBytes, reserved = 0 }: Frame): Buffer {
  const extended = lengthBytes ?? (bytes < 126 ? 0 : bytes < 65536 ? 2 : 8);
  const short = extended === 0 ? bytes : extended === 2 ? 126 : 127;
  const header = Buffer.alloc(2 + extended + (masked ? 4 : 0), 0x89);
  header[0] = (final ? 0x80 : 0) | reserved | opcode;
  header[1] = (masked ? 0x80 : 0) | short;
  if (extended === 2) header.writeUInt16BE(bytes, 2);
  if (extended === 8) header.writeBigUInt64BE(BigInt(bytes), 2);
  return Buffer.concat([header, Buffer.alloc(bytes, 0x88)]);
}

const text = 1;
const binary = 2;
const close = 8;
const ping = 9;
const pong = 10;
const more = { opcode: 0 };

const conversation = [
  { opcode: text, bytes: 5, masked: true },
  { opcode: binary, final: false, bytes: 300 },
  { opcode: ping, bytes: 125 },
  { ...more, final: false },
  { opcode: pong, masked: true },
  { ...more, bytes: 126, reserved: 0x40 },
  { opcode: text, masked: true },
  { opcode: text, bytes: 3, lengthBytes: 8 },
  { opcode: binary, bytes: 70_000 },
  { opcode: close, bytes: 2 },
] as const;

test('messages, fragments and control frames are counted wherever they are split', () => {
  const bytes = Buffer.concat(conversation.map(frame));
  const expected = { messages: 5, frames: 10, controlFrames: 3, failed: false };
  const cuts = [...Array(1000).keys(), ...Array.from({ length: 50 }, (_, at) => bytes.length - at)];
  for (const cut of cuts) assert.deepEqual(countPieces(bytes, [cut]), expected, `split at ${cut}`);
  assert.deepEqual(countPieces(bytes, [...bytes.keys()]), expected);
});

test('a message counts when its last byte has come', () => {
  const bytes = Buffer.concat([
    frame({ opcode: text, final: false, bytes: 2 }),
    frame({ ...more, bytes: 4, masked: true }),
  ]);
  const counts = Array.from(bytes, (_, at) => countPieces(bytes.subarray(0, at + 1)));
  assert.deepEqual(
    counts.map(({ messages, frames }) => `${messages}/${frames}`),
    ['0/0', '0/0', '0/0', ...Array(9).fill('0/1'), '0/1', '1/2'],
  );
});

test('a frame of a length of 64 bits is skipped without being held', () => {
  const counter = new FrameCounter();
  const header = frame({ opcode: binary, lengthBytes: 8, bytes: 0 });
  header.writeBigUInt64BE(5n * 2n ** 32n, 2);
  counter.read(header, 0, header.length);
  const payload = Buffer.alloc(1 << 20, 0x81);
  for (let left = 5 * 2 ** 32; left > 0; left -= payload.length) {
    assert.equal(counter.frames, 0);
    counter.read(payload, 0, payload.length);
  }
  assert.deepEqual(countsOf(counter), { messages: 1, frames: 1, controlFrames: 0, failed: false });
});

const message = frame({ opcode: text, bytes: 1 });
const invalid: Readonly<Record<string, Buffer>> = {
  'a reserved data opcode': frame({ opcode: 3 }),
  'a reserved control opcode': frame({ opcode: 11 }),
  'a control frame in fragments': frame({ opcode: ping, final: false }),
  'a control frame with more than 125 bytes': frame({ opcode: close, bytes: 126 }),
  'a continuation of nothing': frame(more),
  'a message inside a message': Buffer.concat([frame({ opcode: text, final: false }), message]),
  'a length above 2^53': Buffer.concat([Buffer.from([0x82, 127]), Buffer.alloc(8, 0x7f)]),
  'a length of 64 bits with the highest set': Buffer.concat([Buffer.from([0x82, 127, 0x80]), Buffer.alloc(7)]),
  'an HTTP response': Buffer.from('HTTP/1.1 200 OK\r\n\r\n'),
};

for (const [what, bytes] of Object.entries(invalid)) {
  test(`${what} fails, and nothing behind it is counted`, () => {
    const all = Buffer.concat([message, bytes, message, message]);
    for (let cut = 0; cut <= all.length; cut++) {
      const { messages, failed } = countPieces(all, [cut]);
      assert.deepEqual([messages, failed], [1, true], `split at ${cut}`);
    }
  });
}

function portOf(server: { address(): AddressInfo | string | null }): number {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

function talk(socket: WebSocket): void {
  socket.send('hello, hello, hello, hello');
  socket.send(Buffer.alloc(200_000, 'ab'));
  socket.ping();
  socket.send('first part, ', { fin: false });
  socket.send('second part, ', { fin: false });
  socket.send('last part');
  socket.send('');
}

/** A conversation of two `ws` ends, each saying the same, as a relay between them saw it behind the handshake. */
async function record(perMessageDeflate: false | { threshold: number }) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate });
  await once(server, 'listening');
  const [fromClient, fromServer]: [Buffer[], Buffer[]] = [[], []];
  const relay = createServer((client) => {
    const upstream = connect(portOf(server), '127.0.0.1');
    client.on('data', (chunk: Buffer) => fromClient.push(chunk)).pipe(upstream);
    upstream.on('data', (chunk: Buffer) => fromServer.push(chunk)).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');

  const client = new WebSocket(`ws://127.0.0.1:${portOf(relay)}`, { perMessageDeflate });
  const [[accepted]] = (await Promise.all([once(server, 'connection'), once(client, 'open')])) as [
    [WebSocket],
    unknown,
  ];
  const ponged = Promise.all([once(client, 'pong'), once(accepted, 'pong')]);
  talk(client);
  talk(accepted);
  await ponged;
  client.close();
  await Promise.all([once(client, 'close'), once(accepted, 'close')]);
  relay.close();
  server.close();
  return [fromClient, fromServer].map((chunks) => {
    const bytes = Buffer.concat(chunks);
    const headBytes = bytes.indexOf('\r\n\r\n') + 4;
    return { head: bytes.toString('latin1', 0, headBytes), bytes: bytes.subarray(headBytes) };
  });
}

for (const deflate of [false, { threshold: 0 }] as const) {
  test(`both directions of a conversation ${deflate ? 'with' : 'without'} permessage-deflate are counted`, async () => {
    const directions = await record(deflate);
    assert.equal(directions.length, 2);
    for (const { head, bytes } of directions) {
      assert.equal(head.includes('permessage-deflate'), deflate !== false);
      const expected = { messages: 4, frames: 9, controlFrames: 3, failed: false };
      assert.deepEqual(countPieces(bytes), expected);
      for (let cut = 0; cut < Math.min(bytes.length, 400); cut++) {
        assert.deepEqual(countPieces(bytes, [cut, bytes.length - cut]), expected, `split at ${cut}`);
      }
    }
  });
}

test('any frames are counted, however they are split', () => {
  const masked = fc.boolean();
  const bytes = fc.oneof(fc.nat({ max: 130 }), fc.constantFrom(65_535, 65_536));
  const control = fc.record({ opcode: fc.constantFrom(close, ping, pong), bytes: fc.nat({ max: 125 }), masked });
  const fragments = fc.array(fc.record({ bytes, masked, controls: fc.array(control, { maxLength: 2 }) }), {
    minLength: 1,
    maxLength: 4,
  });
  fc.assert(
    fc.property(
      fc.array(fragments, { maxLength: 5 }),
      fc.array(fc.nat({ max: 2000 }), { maxLength: 8 }),
      (all, cuts) => {
        const frames = all.flatMap((message) =>
          message.flatMap(({ controls, ...data }, at): Frame[] => [
            { ...data, opcode: at === 0 ? text : more.opcode, final: at === message.length - 1 },
            ...controls,
          ]),
        );
        const controlFrames = frames.filter(({ opcode }) => opcode >= close).length;
        const expected = { messages: all.length, frames: frames.length, controlFrames, failed: false };
        assert.deepEqual(countPieces(Buffer.concat(frames.map(frame)), cuts), expected);
      },
    ),
    { numRuns: 300 },
  );
});

test('random bytes neither throw nor depend on how they are split', () => {
  const likely = fc.constantFrom(0x81, 0x01, 0x80, 0x00, 0x89, 126, 127, 2, 0x82, 0xc1);
  const byte = fc.oneof(likely, fc.nat({ max: 255 }));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 300 }), fc.array(fc.nat({ max: 300 }), { maxLength: 6 }), (list, cuts) => {
      const bytes = Uint8Array.from(list);
      assert.deepEqual(countPieces(bytes, cuts), countPieces(bytes));
    }),
    { numRuns: 2000 },
  );
});
