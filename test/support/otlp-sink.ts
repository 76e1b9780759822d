// An OTLP/HTTP receiver for tests that decodes with protobufjs, so that what is asserted was read by somebody else.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import protobuf from 'protobufjs';
import { eventually } from './eventually.ts';

export interface SinkSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: 'SERVER' | 'CLIENT' | 'OTHER';
  readonly events: readonly {
    readonly name: string;
    readonly timeNs: bigint;
    readonly attributes: Readonly<Record<string, unknown>>;
  }[];
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** 0 unset, 1 ok, 2 error. */
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface OtlpSink {
  readonly url: string;
  readonly port: number;
  readonly spans: readonly SinkSpan[];
  /** Resolves once at least `count` spans (that satisfy `which`) have come. */
  received(count: number, which?: (span: SinkSpan) => boolean): Promise<SinkSpan[]>;
}

const schema = `
syntax = "proto3";
message Response { Partial partial_success = 1; }
message Partial { int64 rejected_spans = 1; string error_message = 2; }
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; string name = 5;
  int32 kind = 6; fixed64 start = 7; fixed64 end = 8; repeated KeyValue attributes = 9; repeated Event events = 11;
  Status status = 15;
}
message Event { fixed64 time = 1; string name = 2; repeated KeyValue attributes = 3; }
message Status { string message = 2; int32 code = 3; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue {
  oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; bytes bytes_value = 7; }
}`;
const root = protobuf.parse(schema, { keepCase: true }).root;
const Request = root.lookupType('Request');
const Response = root.lookupType('Response');

interface DecodedValue {
  readonly [member: string]: unknown;
}
interface DecodedKeyValue {
  readonly key: string;
  readonly value?: DecodedValue;
}
interface DecodedSpan {
  readonly trace_id: Uint8Array;
  readonly span_id: Uint8Array;
  readonly parent_span_id: Uint8Array;
  readonly trace_state: string;
  readonly name: string;
  readonly kind: number;
  readonly start: string;
  readonly end: string;
  readonly attributes: readonly DecodedKeyValue[];
  readonly events: readonly {
    readonly time: string;
    readonly name: string;
    readonly attributes: readonly DecodedKeyValue[];
  }[];
  readonly status?: { readonly message: string; readonly code: number } | null;
}
interface DecodedRequest {
  readonly resource_spans: readonly {
    readonly resource?: { readonly attributes: readonly DecodedKeyValue[] };
    readonly scope_spans: readonly { readonly spans: readonly DecodedSpan[] }[];
  }[];
}

export interface SpanFields {
  /** Hex; wrong lengths are encoded as they are. */
  readonly traceId: string;
  readonly spanId: string;
  readonly name?: string;
}

/** Encodes spans of one service as an ExportTraceServiceRequest. */
export function encodeSpans(service: string, spans: readonly SpanFields[]): Buffer {
  const start = BigInt(Date.now()) * 1_000_000n;
  const message = {
    resource_spans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { string_value: service } }] },
        scope_spans: [
          {
            spans: spans.map((span) => ({
              trace_id: Buffer.from(span.traceId, 'hex'),
              span_id: Buffer.from(span.spanId, 'hex'),
              name: span.name ?? 'work',
              kind: 2,
              start: String(start),
              end: String(start + 1_000_000n),
            })),
          },
        ],
      },
    ],
  };
  return Buffer.from(Request.encode(Request.fromObject(message)).finish());
}

/** What an ExportTraceServiceResponse says of rejected spans. */
export function decodeRejected(body: Uint8Array): { rejected: number; message: string } {
  const decoded = Response.toObject(Response.decode(body), { longs: String });
  const partial = (decoded as { partial_success?: { rejected_spans?: string; error_message?: string } })
    .partial_success;
  return { rejected: Number(partial?.rejected_spans ?? 0), message: partial?.error_message ?? '' };
}

/** Decodes an ExportTraceServiceRequest into flat spans. */
export function decodeSpans(body: Uint8Array): SinkSpan[] {
  const decoded = Request.toObject(Request.decode(body), { longs: String, arrays: true, defaults: true });
  return (decoded as unknown as DecodedRequest).resource_spans.flatMap((group) => {
    const service = String(toAttributes(group.resource?.attributes ?? [])['service.name'] ?? '');
    return group.scope_spans.flatMap((scope) => scope.spans.map((span) => toSinkSpan(service, span)));
  });
}

function toSinkSpan(service: string, span: DecodedSpan): SinkSpan {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return {
    service,
    traceId: hex(span.trace_id),
    spanId: hex(span.span_id),
    parentSpanId: hex(span.parent_span_id),
    traceState: span.trace_state,
    name: span.name,
    kind: span.kind === 2 ? 'SERVER' : span.kind === 3 ? 'CLIENT' : 'OTHER',
    startNs: BigInt(span.start),
    endNs: BigInt(span.end),
    statusCode: span.status?.code ?? 0,
    statusMessage: span.status?.message ?? '',
    attributes: toAttributes(span.attributes),
    events: span.events.map(({ time, name, attributes }) => ({
      name,
      timeNs: BigInt(time),
      attributes: toAttributes(attributes),
    })),
  };
}

function toAttributes(list: readonly DecodedKeyValue[]): Record<string, unknown> {
  const entries = list.map(({ key, value }) => {
    const member =
      value?.value === undefined ? Object.keys(value ?? {}).find((name) => name !== 'value') : String(value.value);
    const raw = member === undefined ? undefined : value?.[member];
    return [key, member === 'int_value' ? Number(raw) : raw];
  });
  return Object.fromEntries(entries);
}

/** Starts a sink on 127.0.0.1 that accepts everything; it ends with the test. */
export async function startOtlpSink(t: TestContext, port = 0): Promise<OtlpSink> {
  const spans: SinkSpan[] = [];
  const server = http.createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    spans.push(...decodeSpans(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    spans,
    received(count, which = () => true) {
      return eventually(
        () => `${count} spans (${spans.filter(which).length} came)`,
        () => {
          const found = spans.filter(which);
          return found.length >= count && found;
        },
      );
    },
  };
}
