// Scalar values of OTLP's JSON, checked and written as protobuf fields.
import type { ProtobufWriter } from '../../wire/protobuf-writer.ts';
import type { ScalarType } from './json-fields.ts';

/** A value that does not fit its field. */
export class JsonFault extends Error {
  readonly code = 'OTLP_JSON';
  readonly fault = 'client';
  override readonly name = 'JsonFault';
}

const spanKinds = ['UNSPECIFIED', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'].map((n) => `SPAN_KIND_${n}`);
const statusCodes = ['UNSET', 'OK', 'ERROR'].map((name) => `STATUS_CODE_${name}`);

/** @throws JsonFault naming `name` when the value does not fit */
export function writeScalar(
  writer: ProtobufWriter,
  field: number,
  type: ScalarType,
  value: unknown,
  name: string,
): void {
  switch (type) {
    case 'string':
      writer.string(field, typeof value === 'string' ? value : misfit(name, 'a string'));
      return;
    case 'bool':
      writer.varint(field, typeof value === 'boolean' ? Number(value) : misfit(name, 'true or false'));
      return;
    case 'uint32':
      writer.varint(field, Number(integer(value, name, 0n, 0xffffffffn)));
      return;
    case 'fixed32':
      writer.fixed32(field, Number(integer(value, name, 0n, 0xffffffffn)));
      return;
    case 'fixed64':
      writer.fixed64(field, integer(value, name, 0n, 2n ** 64n - 1n));
      return;
    case 'int64':
      writer.varint64(field, integer(value, name, -(2n ** 63n), 2n ** 63n - 1n));
      return;
    case 'double':
      writer.double(field, double(value, name));
      return;
    case 'base64':
      writer.bytes(field, matching(value, name, /^[A-Za-z0-9+/_-]*={0,2}$/, 'base64'));
      return;
    case 'hex':
      writer.bytes(field, matching(value, name, /^(?:[0-9a-fA-F]{2})*$/, 'hex'));
      return;
    case 'spanKind':
      writer.varint64(field, enumValue(value, name, spanKinds));
      return;
    case 'statusCode':
      writer.varint64(field, enumValue(value, name, statusCodes));
  }
}

function misfit(name: string, expected: string): never {
  throw new JsonFault(`${name} is not ${expected}`);
}

/** Numbers and decimal text are both legal for every integer; a number of JSON may also be written 1.6e18. */
function integer(value: unknown, name: string, min: bigint, max: bigint): bigint {
  const isIntegral = typeof value === 'number' ? Number.isInteger(value) : /^-?\d{1,20}$/.test(String(value));
  if (!isIntegral || (typeof value !== 'number' && typeof value !== 'string')) return misfit(name, 'an integer');
  const result = BigInt(value);
  return result >= min && result <= max ? result : misfit(name, `an integer from ${min} to ${max}`);
}

function double(value: unknown, name: string): number {
  if (typeof value === 'number') return value;
  const special = { NaN: Number.NaN, Infinity: Number.POSITIVE_INFINITY, '-Infinity': Number.NEGATIVE_INFINITY };
  const text = typeof value === 'string' ? value : misfit(name, 'a number');
  if (Object.hasOwn(special, text)) return special[text as keyof typeof special];
  return /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : misfit(name, 'a number');
}

function matching(value: unknown, name: string, pattern: RegExp, encoding: 'base64' | 'hex'): Buffer {
  return typeof value === 'string' && pattern.test(value) ? Buffer.from(value, encoding) : misfit(name, encoding);
}

function enumValue(value: unknown, name: string, names: readonly string[]): bigint {
  if (typeof value === 'string' && names.includes(value)) return BigInt(names.indexOf(value));
  return integer(value, name, -(2n ** 31n), 2n ** 31n - 1n);
}
