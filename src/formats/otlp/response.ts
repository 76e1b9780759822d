// Answers of OTLP receivers: ExportTraceServiceResponse, google.rpc.Status and the RetryInfo inside one.
import { ProtobufReader } from '../../wire/protobuf-reader.ts';
import { ProtobufWriter } from '../../wire/protobuf-writer.ts';

/** Both at their defaults is a full success, whether the message was there or not (OTLP, "Partial Success"). */
export interface PartialSuccess {
  readonly rejectedSpans: number;
  readonly errorMessage: string;
}

export const fullSuccess: PartialSuccess = { rejectedSpans: 0, errorMessage: '' };

/** An ExportTraceServiceResponse; a full success is zero bytes. */
export function encodeResponse({ rejectedSpans, errorMessage }: PartialSuccess): Uint8Array {
  const writer = new ProtobufWriter(64);
  if (rejectedSpans === 0 && errorMessage === '') return writer.take();
  const mark = writer.begin(1);
  if (rejectedSpans !== 0) writer.varint(1, rejectedSpans);
  if (errorMessage !== '') writer.string(2, errorMessage);
  writer.finish(mark);
  return writer.take();
}

/** The same in OTLP's JSON: `{}`, or rejectedSpans as decimal text. */
export function responseJson({ rejectedSpans, errorMessage }: PartialSuccess): string {
  if (rejectedSpans === 0 && errorMessage === '') return '{}';
  return JSON.stringify({
    partialSuccess: {
      ...(rejectedSpans === 0 ? {} : { rejectedSpans: String(rejectedSpans) }),
      ...(errorMessage === '' ? {} : { errorMessage }),
    },
  });
}

/** Reads an ExportTraceServiceResponse. Bytes that are none count as full success: the peer did say 200. */
export function decodeResponse(bytes: Uint8Array): PartialSuccess {
  try {
    const reader = new ProtobufReader(bytes);
    let result = fullSuccess;
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x0a) result = decodePartialSuccess(reader);
      else reader.skip(tag);
    }
    return result;
  } catch {
    return fullSuccess;
  }
}

function decodePartialSuccess(reader: ProtobufReader): PartialSuccess {
  const outer = reader.enter();
  let rejectedSpans = 0;
  let errorMessage = '';
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x08) rejectedSpans = Math.max(0, Number(reader.int64()));
    else if (tag === 0x12) errorMessage = reader.string();
    else reader.skip(tag);
  }
  reader.leave(outer);
  return { rejectedSpans, errorMessage };
}

/** A google.rpc.Status for an error answer over HTTP; `code` is a gRPC code. */
export function encodeStatus(code: number, message: string): Uint8Array {
  const writer = new ProtobufWriter(64);
  if (code !== 0) writer.varint(1, code);
  if (message !== '') writer.string(2, message);
  return writer.take();
}

export function statusJson(code: number, message: string): string {
  return JSON.stringify({ code, message });
}

/**
 * The delay of the `google.rpc.RetryInfo` in an encoded google.rpc.Status (`grpc-status-details-bin`), in
 * milliseconds; undefined when there is none or the bytes are no such message.
 */
export function readRetryDelayMs(statusDetails: Uint8Array): number | undefined {
  try {
    const reader = new ProtobufReader(statusDetails);
    let delayMs: number | undefined;
    while (!reader.done) {
      const tag = reader.tag();
      if (tag === 0x1a) delayMs = readDetail(reader.bytes()) ?? delayMs;
      else reader.skip(tag);
    }
    return delayMs;
  } catch {
    return undefined;
  }
}

/** google.protobuf.Any: type_url 1, value 2. */
function readDetail(any: Uint8Array): number | undefined {
  const reader = new ProtobufReader(any);
  let typeUrl = '';
  let value: Uint8Array = new Uint8Array();
  while (!reader.done) {
    const tag = reader.tag();
    if (tag === 0x0a) typeUrl = reader.string();
    else if (tag === 0x12) value = reader.bytes();
    else reader.skip(tag);
  }
  return typeUrl.endsWith('/google.rpc.RetryInfo') ? readRetryInfo(value) : undefined;
}

/** RetryInfo: retry_delay 1, a Duration of seconds 1 and nanos 2. */
function readRetryInfo(value: Uint8Array): number {
  const reader = new ProtobufReader(value);
  let delayMs = 0;
  while (!reader.done) {
    const tag = reader.tag();
    if (tag !== 0x0a) {
      reader.skip(tag);
      continue;
    }
    const outer = reader.enter();
    while (!reader.done) {
      const part = reader.tag();
      if (part === 0x08) delayMs += Number(reader.int64()) * 1000;
      else if (part === 0x10) delayMs += Number(reader.int64()) / 1e6;
      else reader.skip(part);
    }
    reader.leave(outer);
  }
  return Math.max(0, delayMs);
}
