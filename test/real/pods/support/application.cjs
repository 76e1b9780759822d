// An application that knows nothing of tracing: it tells who asked, and asks on where it is told to.
const http = require('node:http');

/** Many applications hand on headers of the request they serve; this one does for these paths. */
const handingOn = '/handing-on';

function serve(request, response) {
  const answer = { name: process.env.NAME, source: request.socket.remoteAddress.replace('::ffff:', '') };
  if (process.env.NEXT === undefined) return response.end(JSON.stringify(answer));
  const { traceparent } = request.headers;
  const headers = request.url.startsWith(handingOn) && traceparent !== undefined ? { traceparent } : {};
  return http
    .get(process.env.NEXT + request.url, { headers }, async (got) => {
      const next = JSON.parse((await got.toArray()).join(''));
      response.end(JSON.stringify({ ...answer, next }));
    })
    .on('error', (error) => response.writeHead(502).end(JSON.stringify({ ...answer, error: error.message })));
}

http.createServer(serve).listen(8080, '0.0.0.0');
process.on('SIGTERM', () => process.exit(0));
