import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeRequest } from '../../src/formats/otlp/decode.ts';
import { joinRequest, sliceRequest } from '../../src/store/request-slices.ts';
import { ProtobufWriter } from '../../src/wire/protobuf-writer.ts';
import { request } from './requests.ts';

/** A field by number that no version of OTLP has. */
function unknownField(writer: ProtobufWriter): void {
  writer.string(99, 'from a newer sender');
}

test('a request cut into spans and put together again decodes to the same', () => {
  const original = Buffer.concat([
    request('shop', { name: 'a' }, { spanId: '22'.repeat(8), name: 'b', tags: { x: 1 } }),
    request('billing', { spanId: '33'.repeat(8), name: 'c' }),
  ]);
  const slices = sliceRequest(original);
  assert.deepEqual(
    slices.map((slice) => slice.spans.length),
    [2, 1],
  );
  assert.deepEqual(decodeRequest(joinRequest(slices)), decodeRequest(original));
});

test('unknown fields around the spans are kept byte for byte', () => {
  const writer = new ProtobufWriter();
  const resourceSpans = writer.begin(1);
  unknownField(writer);
  const scopeSpans = writer.begin(2);
  writer.bytes(2, Buffer.from('span one'));
  unknownField(writer);
  writer.finish(scopeSpans);
  writer.string(3, 'https://schema');
  writer.finish(resourceSpans);
  const [slice] = sliceRequest(writer.take());
  assert.equal(Buffer.from(slice!.spans[0]!).toString(), 'span one');
  const field = new ProtobufWriter();
  unknownField(field);
  assert.deepEqual(Buffer.from(slice!.frame.scope), Buffer.from(field.take()));
  field.string(3, 'https://schema');
  assert.deepEqual(Buffer.from(slice!.frame.resource), Buffer.from(field.take()));
});

test('spans under the retired field 1000 count where there are no scope spans', () => {
  const writer = new ProtobufWriter();
  const resourceSpans = writer.begin(1);
  const librarySpans = writer.begin(1000);
  writer.bytes(2, Buffer.from('old'));
  writer.finish(librarySpans);
  writer.finish(resourceSpans);
  const spans = sliceRequest(writer.take()).flatMap((slice) => slice.spans.map((span) => Buffer.from(span).toString()));
  assert.deepEqual(spans, ['old']);
});

test('a request without spans has no slices', () => {
  assert.deepEqual(sliceRequest(new Uint8Array()), []);
});
