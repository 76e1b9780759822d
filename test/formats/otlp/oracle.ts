// The independent decoder of these tests: protobufjs, reading the .proto files.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const folder = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'proto');

function load(file: string): protobuf.Root {
  return new protobuf.Root().loadSync(path.join(folder, file), { keepCase: false });
}

const otlp = load('otlp-trace.proto');
const packageName = 'opentelemetry.proto.collector.trace.v1';
const request = otlp.lookupType(`${packageName}.ExportTraceServiceRequest`);
const response = otlp.lookupType(`${packageName}.ExportTraceServiceResponse`);
const rpc = load('status.proto');

export type Json = Record<string, unknown>;

/** Encodes a request given with camelCase names; ids as Buffers. */
export function encodeByOracle(value: Json): Uint8Array {
  return new Uint8Array(request.encode(request.fromObject(value)).finish());
}

/** Decodes a request to plain values: 64-bit numbers as text, ids and bytes as hex. */
export function decodeByOracle(bytes: Uint8Array): Json {
  const message = request.decode(bytes);
  return bytesToHex(request.toObject(message, { longs: String, bytes: Buffer, arrays: true })) as Json;
}

export function decodeResponseByOracle(bytes: Uint8Array): Json {
  return response.toObject(response.decode(bytes), { longs: String });
}

export function encodeResponseByOracle(value: Json): Uint8Array {
  return new Uint8Array(response.encode(response.fromObject(value)).finish());
}

/** Encodes or decodes a message of status.proto by its short name. */
export function encodeRpcByOracle(name: string, value: Json): Uint8Array {
  const type = rpc.lookupType(`google.rpc.${name}`);
  return new Uint8Array(type.encode(type.fromObject(value)).finish());
}

export function decodeRpcByOracle(name: string, bytes: Uint8Array): Json {
  const type = rpc.lookupType(`google.rpc.${name}`);
  return type.toObject(type.decode(bytes), { longs: String });
}

function bytesToHex(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(bytesToHex);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, bytesToHex(item)]));
}
