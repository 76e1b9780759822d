// What the four shops' services share: an HTTP server, a client, and the copying of trace headers from one to the other.
import http from 'node:http';

/** All that these services know of tracing: headers to hand on, as one would in any language with two lines of code. */
const forwarded = [
  'traceparent',
  'tracestate',
  'baggage',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'x-request-id',
];
const agent = new http.Agent({ keepAlive: true });
const maxSeen = 1000;

/**
 * Starts a service on 127.0.0.1:$PORT. `handle(request, call)` resolves to `{ status, body }`;
 * `call(service, method, path, body)` resolves to the same and carries the request's trace headers.
 * `GET /private/seen` lists the trace headers of the last requests by their order number.
 */
export function serve(handle) {
  const seen = [];
  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, 'http://service');
    if (url.pathname === '/private/seen') {
      answer(response, 200, seen);
      return;
    }
    const carried = pick(request.headers);
    seen.push({ order: url.searchParams.get('order'), headers: carried });
    if (seen.length > maxSeen) seen.shift();
    try {
      const body = await readBody(request);
      const order = url.searchParams.get('order') ?? '';
      const call = (service, method, path, content) =>
        callService(service, method, `${path}?order=${encodeURIComponent(order)}`, content, carried);
      const { status, body: result } = await handle({ method: request.method, path: url.pathname, url, body }, call);
      answer(response, status, result);
    } catch (error) {
      answer(response, 500, { error: String(error) });
    }
  });
  server.keepAliveTimeout = 60_000;
  server.on('error', (error) => {
    process.stderr.write(`${JSON.stringify({ level: 60, msg: `cannot listen: ${error.code}` })}\n`);
    process.exit(2);
  });
  server.listen(Number(process.env.PORT), '127.0.0.1', () => {
    process.stderr.write(`${JSON.stringify({ level: 30, msg: 'listening', port: server.address().port })}\n`);
  });
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
}

function pick(headers) {
  return Object.fromEntries(forwarded.filter((name) => name in headers).map((name) => [name, headers[name]]));
}

async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? {} : JSON.parse(text);
}

function answer(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** `service` is a name such as `orders`; $ORDERS says where it is (host:port), as a cluster's DNS would. */
function callService(service, method, path, content, headers) {
  const [host, port] = process.env[service.toUpperCase()].split(':');
  const body = content === undefined ? undefined : JSON.stringify(content);
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        agent,
        host,
        port,
        method,
        path,
        headers: {
          host: `${service}:${process.env.SERVICE_PORT ?? 8080}`,
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      (response) => {
        readBody(response).then((value) => resolve({ status: response.statusCode, body: value }), reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
