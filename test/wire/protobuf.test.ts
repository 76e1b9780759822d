import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { ProtobufError, ProtobufReader } from '../../src/wire/protobuf-reader.ts';
import { ProtobufWriter, varintSize } from '../../src/wire/protobuf-writer.ts';

const oracle = protobuf
  .parse(
    `syntax = "proto3";
     message Probe {
       int64 count = 1; fixed64 time = 2; fixed32 flags = 3; double ratio = 4;
       string text = 5; bytes raw = 6; uint32 small = 7; Probe child = 200;
     }`,
  )
  .root.lookupType('Probe');

interface Probe {
  readonly count: bigint;
  readonly time: bigint;
  readonly flags: number;
  readonly ratio: number;
  readonly text: string;
  readonly raw: Uint8Array;
  readonly small: number;
}

const probes = fc.record<Probe>({
  count: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  time: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  flags: fc.integer({ min: 0, max: 0xffffffff }),
  ratio: fc.double(),
  text: fc.string({ unit: 'binary', maxLength: 300 }),
  raw: fc.uint8Array({ maxLength: 300 }),
  small: fc.integer({ min: 0, max: 0xffffffff }),
});

function write(writer: ProtobufWriter, probe: Probe): void {
  writer.varint64(1, probe.count);
  writer.fixed64(2, probe.time);
  writer.fixed32(3, probe.flags);
  writer.double(4, probe.ratio);
  writer.string(5, probe.text);
  writer.bytes(6, probe.raw);
  writer.varint(7, probe.small);
}

test('what the writer writes another decoder reads, nested messages included', () => {
  fc.assert(
    fc.property(probes, probes, (outer, inner) => {
      const writer = new ProtobufWriter(1);
      write(writer, outer);
      const mark = writer.begin(200);
      write(writer, inner);
      writer.finish(mark);
      const read = oracle.toObject(oracle.decode(writer.take()), { longs: String, defaults: true });
      for (const [probe, seen] of [
        [outer, read],
        [inner, read.child],
      ] as const) {
        assert.equal(seen.count, String(probe.count));
        assert.equal(seen.time, String(probe.time));
        assert.equal(seen.flags, probe.flags);
        assert.ok(Object.is(seen.ratio, probe.ratio));
        assert.equal(seen.text, probe.text);
        assert.deepEqual([...seen.raw], [...probe.raw]);
        assert.equal(seen.small, probe.small);
      }
    }),
    { numRuns: 200 },
  );
});

test('a field is whole wherever its buffer has to grow', () => {
  for (let before = 0; before < 64; before++) {
    for (const text of ['', 'x', 'y'.repeat(127), 'z'.repeat(128)]) {
      const writer = new ProtobufWriter(1);
      writer.bytes(6, new Uint8Array(before));
      writer.string(5, text);
      const read = oracle.toObject(oracle.decode(writer.take()), { defaults: true });
      assert.equal(read.text, text, `${before} bytes before ${text.length}`);
    }
  }
});

test('what another encoder writes the reader reads', () => {
  fc.assert(
    fc.property(probes, (probe) => {
      const bytes = oracle
        .encode(oracle.fromObject({ ...probe, count: String(probe.count), time: String(probe.time) }))
        .finish();
      const reader = new ProtobufReader(bytes);
      const seen: Record<number, unknown> = {};
      while (!reader.done) {
        const tag = reader.tag();
        const field = tag >>> 3;
        if (field === 1) seen[1] = reader.int64();
        else if (field === 2) seen[2] = reader.fixed64();
        else if (field === 3) seen[3] = reader.fixed32();
        else if (field === 4) seen[4] = reader.double();
        else if (field === 5) seen[5] = reader.string();
        else if (field === 6) seen[6] = [...reader.bytes()];
        else seen[7] = reader.uint32();
      }
      assert.equal(seen[1] ?? 0n, probe.count);
      assert.equal(seen[2] ?? 0n, probe.time);
      assert.equal(seen[3] ?? 0, probe.flags);
      assert.ok(Object.is(seen[4] ?? 0, probe.ratio));
      assert.equal(seen[5] ?? '', probe.text);
      assert.deepEqual(seen[6] ?? [], [...probe.raw]);
      assert.equal(seen[7] ?? 0, probe.small);
    }),
    { numRuns: 200 },
  );
});

test('a varint may be padded to ten bytes and no further', () => {
  const padded = (bytes: number) => Buffer.from([...Array<number>(bytes - 1).fill(0x80), 0]);
  assert.equal(new ProtobufReader(padded(10)).uint32(), 0);
  assert.equal(new ProtobufReader(padded(10)).int64(), 0n);
  assert.throws(() => new ProtobufReader(padded(11)).uint32(), ProtobufError);
  assert.throws(() => new ProtobufReader(padded(11)).int64(), ProtobufError);
  assert.throws(() => new ProtobufReader(padded(6)).bytes(), /length of more than 32 bits/);
});

test('field 0, wire types 6 and 7, foreign group ends and endless groups are errors', () => {
  for (const bytes of [[0x00], [0x0e], [0x0f], [0x0c], [0x0b, 0x14], [0x0b, 0x08, 0x01]]) {
    const reader = new ProtobufReader(Buffer.from(bytes));
    assert.throws(() => reader.skip(reader.tag()), ProtobufError, String(bytes));
  }
  const nested = new ProtobufReader(Buffer.alloc(1_000_000, 0x0b));
  assert.throws(() => nested.skip(nested.tag()), /levels of nesting/);
});

test('a field that would overrun its message is an error, even where the buffer goes on', () => {
  const reader = new ProtobufReader(Buffer.from([0x0a, 0x02, 0x12, 0x03, 1, 2, 3]));
  assert.equal(reader.tag(), 0x0a);
  const outer = reader.enter();
  assert.equal(reader.tag(), 0x12);
  assert.throws(() => reader.bytes(), /overruns its message/);
  assert.equal(outer, 7);
});

test('truncate forgets a half-written message', () => {
  const writer = new ProtobufWriter();
  writer.varint(7, 1);
  const before = writer.size;
  writer.begin(200);
  writer.string(5, 'half');
  writer.truncate(before);
  writer.varint(3, 2);
  assert.deepEqual([...writer.take()], [0x38, 1, 0x18, 2]);
});

test('varintSize agrees with the encoding at every power of two', () => {
  for (let bits = 0; bits <= 50; bits++) assert.equal(varintSize(2 ** bits), Math.floor(bits / 7) + 1);
  assert.equal(varintSize(0), 1);
});
