// Receives OTLP over HTTP: POST /v1/traces in protobuf or JSON, answered in kind.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { walkJson } from '../../formats/otlp/json-decode.ts';
import { encodeResponse, encodeStatus, responseJson, statusJson } from '../../formats/otlp/response.ts';
import { walk } from '../../formats/otlp/walk.ts';
import type { Address } from '../../runtime/address.ts';
import { close, listen } from '../../runtime/listen.ts';
import type { Log } from '../../runtime/log.ts';
import { errorMessage } from '../../runtime/usage-error.ts';
import type { Pipeline } from '../pipeline.ts';
import { ByteBudget, readBody } from './http-body.ts';
import type { Receiver } from './receiver.ts';

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The two encodings of OTLP/HTTP: how a body is walked, how answers are written. */
const encodings = {
  'application/x-protobuf': { walk, encodeResponse, encodeStatus },
  'application/json': { walk: walkJson, encodeResponse: responseJson, encodeStatus: statusJson },
} as const;

type ContentType = keyof typeof encodings;

/** Longer than senders pause between two batches: a connection closed under a request costs them a retry. */
const keepAliveTimeoutMs = 75_000;

/** gRPC codes, as google.rpc.Status carries them. */
const invalidArgument = 3;
const resourceExhausted = 8;
const unavailable = 14;

export interface HttpLimits {
  readonly maxRequestBytes: number;
  readonly maxBytesInFlight: number;
}

/**
 * Starts the receiver. 400 malformed or unreadable, 404 another path, 405 another method, 413 over `maxRequestBytes`
 * (before or after unpacking), 415 another content type or encoding, 503 with Retry-After when more than
 * `maxBytesInFlight` would be held at a time; bad spans are a partial success under 200.
 * @throws UsageError when the address cannot be bound
 */
export async function startOtlpHttp(
  address: Address,
  pipeline: Pipeline,
  limits: HttpLimits,
  log: Log,
): Promise<Receiver> {
  const budget = new ByteBudget(limits.maxBytesInFlight);
  const server = createServer((request, response) => {
    answer(request, pipeline, limits.maxRequestBytes, budget).then(
      (reply) => reply !== undefined && send(response, reply),
      (error: unknown) => {
        log.error({ error: errorMessage(error) }, 'a request failed by a fault of ours');
        send(response, text(503, 'internal error'));
      },
    );
  });
  server.keepAliveTimeout = keepAliveTimeoutMs;
  return {
    address: await listen(server, address, '--otlp-http'),
    stop: async (graceMs) => {
      const closed = close(server, graceMs);
      server.closeIdleConnections();
      await closed;
    },
  };
}

/** Undefined when the client is gone. */
async function answer(
  request: IncomingMessage,
  pipeline: Pipeline,
  maxBytes: number,
  budget: ByteBudget,
): Promise<Reply | undefined> {
  const path = request.url?.split('?')[0];
  if (path !== '/v1/traces') return text(404, 'not found; traces go to /v1/traces');
  if (request.method !== 'POST') return { ...text(405, 'traces are sent by POST'), headers: { allow: 'POST' } };
  const type = contentType(request);
  if (type === undefined) return text(415, 'send application/x-protobuf or application/json');
  const encoding = encodings[type];
  const refuse = (status: number, code: number, message: string): Reply => ({
    status,
    type,
    body: encoding.encodeStatus(code, message),
  });
  const body = await readBody(request, maxBytes, budget);
  switch (body.kind) {
    case 'aborted':
      return undefined;
    case 'unknown-encoding':
      return {
        ...text(415, 'send the body as it is or as gzip or deflate'),
        headers: { 'accept-encoding': 'gzip, deflate' },
      };
    case 'too-large':
      return refuse(413, resourceExhausted, `the request is longer than ${maxBytes} bytes`);
    case 'overload':
      return {
        ...refuse(503, unavailable, 'too much is being received; send it again'),
        headers: { 'retry-after': '1' },
      };
    case 'unreadable':
      return refuse(400, invalidArgument, body.reason);
    case 'body': {
      const result = pipeline.receive('http', batchIdOf(request), () => encoding.walk(body.bytes));
      if (result.kind === 'malformed') return refuse(400, invalidArgument, result.reason);
      return { status: 200, type, body: encoding.encodeResponse(result) };
    }
  }
}

function contentType(request: IncomingMessage): ContentType | undefined {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  return type !== undefined && Object.hasOwn(encodings, type) ? (type as ContentType) : undefined;
}

function batchIdOf(request: IncomingMessage): string | undefined {
  const header = request.headers['tracecar-batch'];
  return Array.isArray(header) ? header[0] : header;
}

function text(status: number, message: string): Reply {
  return { status, type: 'text/plain; charset=utf-8', body: `${message}\n` };
}

function send(response: ServerResponse, { status, type, body, headers }: Reply): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}
