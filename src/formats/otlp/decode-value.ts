// Decodes OTLP attributes: KeyValue and AnyValue of common.proto.
import { maxNesting, ProtobufError, type ProtobufReader } from '../../wire/protobuf-reader.ts';
import { anyValueTag, keyValueTag, valuesTag } from './fields.ts';
import type { AnyValue, KeyValue } from './span.ts';

const empty: AnyValue = { kind: 'empty' };

/** Decodes one KeyValue; `depth` is how many messages it lies below the request, its own included. */
export function decodeAttribute(reader: ProtobufReader, depth: number): KeyValue {
  const outer = enterAt(reader, depth);
  let key = '';
  let value = empty;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === keyValueTag.key) key = reader.string();
    else if (tag === keyValueTag.value) value = decodeValue(reader, depth + 1);
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { key, value };
}

function decodeValue(reader: ProtobufReader, depth: number): AnyValue {
  const outer = enterAt(reader, depth);
  let value = empty;
  while (!reader.done) {
    const tag = reader.tag();
    switch (tag) {
      case anyValueTag.stringValue:
        value = { kind: 'string', value: reader.string() };
        break;
      case anyValueTag.boolValue:
        value = { kind: 'bool', value: reader.uint32() !== 0 };
        break;
      case anyValueTag.intValue:
        value = { kind: 'int', value: reader.int64() };
        break;
      case anyValueTag.doubleValue:
        value = { kind: 'double', value: reader.double() };
        break;
      case anyValueTag.arrayValue:
        value = { kind: 'array', values: decodeList(reader, depth + 1, decodeValue) };
        break;
      case anyValueTag.kvlistValue:
        value = { kind: 'kvlist', values: decodeList(reader, depth + 1, decodeAttribute) };
        break;
      case anyValueTag.bytesValue:
        value = { kind: 'bytes', value: new Uint8Array(reader.bytes()) };
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outer);
  return value;
}

function decodeList<T>(
  reader: ProtobufReader,
  depth: number,
  decodeItem: (reader: ProtobufReader, depth: number) => T,
): T[] {
  const outer = enterAt(reader, depth);
  const values: T[] = [];
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === valuesTag) values.push(decodeItem(reader, depth + 1));
    else reader.skip(tag);
  }
  reader.leave(outer);
  return values;
}

function enterAt(reader: ProtobufReader, depth: number): number {
  if (depth > maxNesting) throw new ProtobufError(`more than ${maxNesting} levels of nesting`);
  return reader.enter();
}
