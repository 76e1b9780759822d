// Receives OTLP over gRPC: TraceService.Export, bytes in and bytes out.

import { createServer } from 'node:net';
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { encodeResponse } from '../../formats/otlp/response.ts';
import { walk } from '../../formats/otlp/walk.ts';
import { type Address, formatAddress } from '../../runtime/address.ts';
import { close, listen } from '../../runtime/listen.ts';
import { errorMessage, UsageError } from '../../runtime/usage-error.ts';
import type { Pipeline } from '../pipeline.ts';
import type { Receiver } from './receiver.ts';

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const service: ServiceDefinition = {
  Export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: asBuffer,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: asBuffer,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

/** Connections are closed at this age (give or take a tenth), so that senders spread over collectors that came later. */
const maxConnectionAgeMs = 300_000;

/**
 * Starts the receiver. Malformed requests are INVALID_ARGUMENT, requests over `maxRequestBytes` (before or after
 * decompression) RESOURCE_EXHAUSTED, bad spans a partial success.
 * @throws UsageError when the address cannot be bound
 */
export async function startOtlpGrpc(address: Address, pipeline: Pipeline, maxRequestBytes: number): Promise<Receiver> {
  const server = new Server({
    'grpc.max_receive_message_length': maxRequestBytes,
    'grpc.max_connection_age_ms': maxConnectionAgeMs,
  });
  const handlers: UntypedServiceImplementation = { Export: exportHandler(pipeline) };
  server.addService(service, handlers);
  const port = await bind(server, address);
  return {
    address: { host: address.host, port },
    stop: (graceMs) => shutDown(server, graceMs),
  };
}

function exportHandler(pipeline: Pipeline): handleUnaryCall<Uint8Array, Uint8Array> {
  return (call, callback) => {
    const [batchId] = call.metadata.get('tracecar-batch');
    const answer = pipeline.receive('grpc', batchId?.toString(), () => walk(call.request));
    if (answer.kind === 'malformed') callback({ code: status.INVALID_ARGUMENT, details: answer.reason });
    else callback(null, encodeResponse(answer));
  };
}

async function bind(server: Server, address: Address): Promise<number> {
  const what = '--otlp-grpc';
  // The gRPC library does not say why it cannot bind; a plain server tried first does.
  const probe = createServer();
  await listen(probe, address, what);
  await close(probe);
  return new Promise((resolve, reject) => {
    server.bindAsync(formatAddress(address), ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(new UsageError(`${what}: cannot listen on ${formatAddress(address)}: ${errorMessage(error)}`));
    });
  });
}

/** Lets running calls finish, then cuts what is left. */
function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
