// Takes spans from the proxies that trace (OTLP/HTTP protobuf, Zipkin v2 JSON) and counts them, a port for each proxy.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ports = Number(process.argv[2] ?? '1');

/** Calls `visit` with each length-delimited field `wanted` of the message in `bytes[start, end)`. */
function eachField(
  bytes: Buffer,
  start: number,
  end: number,
  wanted: number,
  visit: (start: number, end: number) => void,
): void {
  let at = start;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; at < end; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < end) {
    const tag = varint();
    const wireType = tag & 7;
    if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) {
      const length = varint();
      if (tag >>> 3 === wanted) visit(at, at + length);
      at += length;
    } else throw new Error(`wire type ${wireType}`);
  }
}

/** Spans of an ExportTraceServiceRequest: resource_spans = 1, scope_spans = 2, spans = 2. */
function countOtlp(body: Buffer): number {
  let spans = 0;
  eachField(body, 0, body.length, 1, (resource, resourceEnd) =>
    eachField(body, resource, resourceEnd, 2, (scope, scopeEnd) =>
      eachField(body, scope, scopeEnd, 2, () => {
        spans += 1;
      }),
    ),
  );
  return spans;
}

function countZipkin(body: Buffer): number {
  const spans: unknown = JSON.parse(body.toString());
  return Array.isArray(spans) ? spans.length : 0;
}

async function openPort(): Promise<number> {
  let spans = 0;
  let posts = 0;
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.end(JSON.stringify({ spans, posts }));
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      posts += 1;
      spans += request.url === '/api/v2/spans' ? countZipkin(body) : countOtlp(body);
      response.statusCode = request.url === '/api/v2/spans' ? 202 : 200;
      response.setHeader('content-type', 'application/x-protobuf');
      response.end();
    });
  });
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const opened = await Promise.all(Array.from({ length: ports }, openPort));
process.stdout.write(`${JSON.stringify({ ports: opened })}\n`);
