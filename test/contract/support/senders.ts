// Senders of OTLP in each of its forms, with answers brought to one shape.
import http from 'node:http';
import { gzipSync } from 'node:zlib';
import {
  Client,
  type ClientOptions,
  compressionAlgorithms,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { Collector } from '../../../src/collector/main.ts';
import { decodeRequest } from '../../../src/formats/otlp/decode.ts';
import { requestToJson } from '../../../src/formats/otlp/json-encode.ts';
import { formatAddress } from '../../../src/runtime/address.ts';
import { decodeResponseByOracle, decodeRpcByOracle } from '../../formats/otlp/oracle.ts';

export type Answer =
  | { readonly kind: 'taken'; readonly rejectedSpans: number; readonly errorMessage: string }
  | { readonly kind: 'malformed'; readonly message: string }
  | { readonly kind: 'too-large' };

interface SendOptions {
  readonly gzip?: boolean;
  readonly batchId?: string;
}

export interface Connection {
  readonly port: number;
  readonly client?: Client;
  readonly gzipClient?: Client;
  close(): void;
}

export interface Sender {
  readonly name: string;
  /** A protobuf request in this sender's encoding. */
  encode(request: Uint8Array): Uint8Array;
  connect(addresses: Collector['addresses']): Connection;
  send(connection: Connection, body: Uint8Array, options?: SendOptions): Promise<Answer>;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own; resolves with whatever is answered. */
export function request(port: number, options: http.RequestOptions, body?: Uint8Array): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const call = http.request({ host: '127.0.0.1', port, agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    call.on('error', reject);
    call.end(body);
  });
}

function httpSender(name: string, contentType: string, parts: Pick<Sender, 'encode'> & HttpDecoders): Sender {
  return {
    name,
    encode: parts.encode,
    connect: ({ otlpHttp }) => ({ port: otlpHttp.port, close: () => {} }),
    async send({ port }, body, { gzip = false, batchId } = {}) {
      const headers = {
        'content-type': contentType,
        ...(gzip ? { 'content-encoding': 'gzip' } : {}),
        ...(batchId === undefined ? {} : { 'tracecar-batch': batchId }),
      };
      const sent = gzip ? gzipSync(body) : body;
      const answer = await request(port, { method: 'POST', path: '/v1/traces', headers }, sent);
      if (answer.headers['content-type'] !== contentType)
        throw new Error(`answered as ${answer.headers['content-type']}`);
      if (answer.status === 200) return taken(parts.decodeResponse(answer.body));
      const { code, message } = parts.decodeStatus(answer.body) as { code: number; message: string };
      if (answer.status === 413 && code === status.RESOURCE_EXHAUSTED) return { kind: 'too-large' };
      if (answer.status === 400 && code === status.INVALID_ARGUMENT) return { kind: 'malformed', message };
      throw new Error(`unexpected answer ${answer.status}, code ${code}: ${message}`);
    },
  };
}

interface HttpDecoders {
  readonly decodeResponse: (body: Buffer) => unknown;
  readonly decodeStatus: (body: Buffer) => unknown;
}

function taken(response: unknown): Answer {
  const { partialSuccess } = response as { partialSuccess?: { rejectedSpans?: string; errorMessage?: string } };
  return {
    kind: 'taken',
    rejectedSpans: Number(partialSuccess?.rejectedSpans ?? 0),
    errorMessage: partialSuccess?.errorMessage ?? '',
  };
}

const grpcSender: Sender = {
  name: 'OTLP/gRPC',
  encode: (body) => body,
  connect: ({ otlpGrpc }) => {
    const create = (options: ClientOptions) =>
      new Client(formatAddress(otlpGrpc), credentials.createInsecure(), options);
    const client = create({});
    const gzipClient = create({ 'grpc.default_compression_algorithm': compressionAlgorithms.gzip });
    const close = () => {
      client.close();
      gzipClient.close();
    };
    return { port: otlpGrpc.port, client, gzipClient, close };
  },
  send: ({ client, gzipClient }, body, { gzip = false, batchId } = {}) =>
    new Promise((resolve, reject) => {
      const metadata = new Metadata();
      if (batchId !== undefined) metadata.set('tracecar-batch', batchId);
      const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
      const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes);
      const chosen = gzip ? gzipClient : client;
      chosen?.makeUnaryRequest(
        path,
        asBuffer,
        (b: Buffer) => b,
        body,
        metadata,
        (error, response) => {
          if (error === null) resolve(taken(decodeResponseByOracle(response!)));
          else answerOf(error, resolve, reject);
        },
      );
    }),
};

function answerOf(error: ServiceError, resolve: (answer: Answer) => void, reject: (error: Error) => void): void {
  if (error.code === status.INVALID_ARGUMENT) resolve({ kind: 'malformed', message: error.details });
  else if (error.code === status.RESOURCE_EXHAUSTED) resolve({ kind: 'too-large' });
  else reject(error);
}

export const senders: readonly Sender[] = [
  grpcSender,
  httpSender('OTLP/HTTP protobuf', 'application/x-protobuf', {
    encode: (body) => body,
    decodeResponse: decodeResponseByOracle,
    decodeStatus: (body) => decodeRpcByOracle('Status', body),
  }),
  httpSender('OTLP/HTTP JSON', 'application/json', {
    encode: (body) => Buffer.from(JSON.stringify(requestToJson(decodeRequest(body)))),
    decodeResponse: (body) => JSON.parse(body.toString()),
    decodeStatus: (body) => JSON.parse(body.toString()),
  }),
];
