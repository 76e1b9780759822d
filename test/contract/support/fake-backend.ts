// Backends that do as they are told: OTLP over HTTP and gRPC, and Zipkin. What they took is kept by span name.
import { createServer, type IncomingMessage } from 'node:http';
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { close, listen } from '../../../src/runtime/listen.ts';
import { decodeByOracle, encodeResponseByOracle, encodeRpcByOracle } from '../../formats/otlp/oracle.ts';

export type Behaviour =
  | { readonly kind: 'accept' }
  | { readonly kind: 'partial'; readonly rejectedSpans: number; readonly errorMessage: string }
  | { readonly kind: 'retry'; readonly delayMs?: number }
  /** Refused as malformed: 400, INVALID_ARGUMENT. */
  | { readonly kind: 'malformed' }
  /** Refused whatever is in it: 403, PERMISSION_DENIED. */
  | { readonly kind: 'forbidden' };

export interface Attempt {
  readonly names: readonly string[];
  readonly body: Buffer;
  readonly batchId: string | undefined;
  readonly atMs: number;
}

/** Decides on an attempt; `index` counts attempts from 0. */
export type Decide = (attempt: Attempt, index: number) => Behaviour | Promise<Behaviour>;

export abstract class FakeBackend {
  readonly attempts: Attempt[] = [];
  /** Names of the spans of accepted requests, in order. */
  readonly taken: string[] = [];
  decide: Decide = () => ({ kind: 'accept' });
  private readonly watchers: { readonly count: number; readonly resolve: () => void }[] = [];

  /** Starts on a port, 0 for any; resolves with the port. */
  abstract start(port?: number): Promise<number>;
  abstract stop(): Promise<void>;

  /** Resolves when so many attempts have come in. */
  attempted(count: number): Promise<void> {
    if (this.attempts.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.watchers.push({ count, resolve }));
  }

  protected async handle(body: Buffer, names: readonly string[], batchId: string | undefined): Promise<Behaviour> {
    const attempt = { names, body, batchId, atMs: performance.now() };
    const index = this.attempts.push(attempt) - 1;
    for (const { count, resolve } of this.watchers) if (this.attempts.length >= count) resolve();
    const behaviour = await this.decide(attempt, index);
    if (behaviour.kind === 'accept' || behaviour.kind === 'partial') this.taken.push(...names);
    return behaviour;
  }
}

function namesOfOtlp(body: Uint8Array): string[] {
  const { resourceSpans } = decodeByOracle(body) as {
    resourceSpans: { scopeSpans: { spans: { name: string }[] }[] }[];
  };
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)));
}

function partialSuccess(behaviour: Behaviour): Uint8Array {
  if (behaviour.kind !== 'partial') return new Uint8Array();
  const { rejectedSpans, errorMessage } = behaviour;
  return encodeResponseByOracle({ partialSuccess: { rejectedSpans, errorMessage } });
}

const httpStatus = { accept: 200, partial: 200, retry: 503, malformed: 400, forbidden: 403 };

abstract class HttpBackend extends FakeBackend {
  protected abstract readonly path: string;
  protected abstract readonly contentType: string;
  protected abstract namesOf(body: Buffer): string[];

  private readonly server = createServer((request, response) => {
    this.answer(request).then(
      ([behaviour, notFound]) => {
        const delayMs = behaviour.kind === 'retry' ? behaviour.delayMs : undefined;
        if (delayMs !== undefined) response.setHeader('retry-after', String(delayMs / 1000));
        response.writeHead(notFound ? 404 : httpStatus[behaviour.kind]).end(partialSuccess(behaviour));
      },
      () => response.destroy(),
    );
  });

  private async answer(request: IncomingMessage): Promise<[Behaviour, boolean]> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const isRight = request.url === this.path && request.headers['content-type'] === this.contentType;
    const body = Buffer.concat(chunks);
    const batchId = request.headers['tracecar-batch'];
    return [await this.handle(body, this.namesOf(body), Array.isArray(batchId) ? batchId[0] : batchId), !isRight];
  }

  async start(port = 0): Promise<number> {
    return (await listen(this.server, { host: '127.0.0.1', port }, 'fake backend')).port;
  }

  async stop(): Promise<void> {
    const closed = close(this.server);
    this.server.closeAllConnections();
    await closed;
  }
}

export class FakeOtlpHttp extends HttpBackend {
  protected readonly path = '/v1/traces';
  protected readonly contentType = 'application/x-protobuf';
  protected namesOf(body: Buffer): string[] {
    return namesOfOtlp(body);
  }
}

export class FakeZipkin extends HttpBackend {
  protected readonly path = '/api/v2/spans';
  protected readonly contentType = 'application/json';
  protected namesOf(body: Buffer): string[] {
    const spans: { name: string }[] = JSON.parse(body.toString());
    return spans.map(({ name }) => name);
  }
}

const grpcStatus = {
  retry: status.UNAVAILABLE,
  malformed: status.INVALID_ARGUMENT,
  forbidden: status.PERMISSION_DENIED,
};

export class FakeOtlpGrpc extends FakeBackend {
  private server: Server | undefined;

  start(port = 0): Promise<number> {
    const server = new Server();
    this.server = server;
    const identity = (bytes: Buffer) => bytes;
    const definition = {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    };
    server.addService(
      { Export: definition },
      {
        Export: (
          call: { request: Buffer; metadata: Metadata },
          callback: (error: object | null, response?: Uint8Array) => void,
        ) => {
          const batchId = call.metadata.get('tracecar-batch')[0]?.toString();
          this.handle(call.request, namesOfOtlp(call.request), batchId).then(
            (behaviour) => answerGrpc(behaviour, callback),
            () => callback({ code: status.INTERNAL }),
          );
        },
      },
    );
    return new Promise((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
  }

  async stop(): Promise<void> {
    this.server?.forceShutdown();
  }
}

function answerGrpc(behaviour: Behaviour, callback: (error: object | null, response?: Uint8Array) => void): void {
  if (behaviour.kind === 'accept' || behaviour.kind === 'partial') {
    callback(null, Buffer.from(partialSuccess(behaviour)));
    return;
  }
  const metadata = new Metadata();
  if (behaviour.kind === 'retry' && behaviour.delayMs !== undefined) {
    const retryDelay = { seconds: 0, nanos: behaviour.delayMs * 1e6 };
    const retryInfo = {
      typeUrl: 'type.googleapis.com/google.rpc.RetryInfo',
      value: encodeRpcByOracle('RetryInfo', { retryDelay }),
    };
    const details = encodeRpcByOracle('Status', { code: 14, message: 'later', details: [retryInfo] });
    metadata.set('grpc-status-details-bin', Buffer.from(details));
  }
  callback({ code: grpcStatus[behaviour.kind], details: behaviour.kind, metadata });
}
