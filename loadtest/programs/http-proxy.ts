// The npm package http-proxy, untraced, with a keep-alive agent: the usual way to proxy HTTP on Node.
import http from 'node:http';
import httpProxy from 'http-proxy';

const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${process.argv[2]}`,
  agent: new http.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }),
});
proxy.on('error', (_error, _request, response) => response.destroy());

const server = http.createServer((request, response) => proxy.web(request, response));
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
