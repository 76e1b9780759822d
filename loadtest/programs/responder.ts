// The upstream when nginx is not installed: answers every HTTP/1.1 request with the same bytes, as fast as Node can, and
// closes the connection where that is asked. Arguments: bytes of the answer's body, address, port.
import { createServer } from 'node:net';

const [, , bodyText = '100', host = '127.0.0.1', portText = '0'] = process.argv;
const bodyBytes = Number(bodyText);
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${bodyBytes}\r\n\r\n${'x'.repeat(bodyBytes)}`,
);
const headEnd = '\r\n\r\n';

/** How many whole requests `text` starts with, and how many bytes they take; bodies have a Content-Length. */
function countRequests(text: string): { requests: number; bytes: number } {
  let requests = 0;
  let bytes = 0;
  for (;;) {
    const end = text.indexOf(headEnd, bytes);
    if (end < 0) break;
    const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(bytes, end))?.[1];
    const next = end + headEnd.length + Number(length ?? 0);
    if (next > text.length) break;
    requests += 1;
    bytes = next;
  }
  return { requests, bytes };
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = '';
  socket.on('data', (chunk: Buffer) => {
    const text = rest + chunk.toString('latin1');
    const { requests, bytes } = countRequests(text);
    rest = text.slice(bytes);
    for (let i = 0; i < requests; i++) socket.write(answer);
    if (requests > 0 && /\r\nconnection: *close\r/i.test(text)) socket.end();
  });
  socket.on('error', () => socket.destroy());
});
server.listen(Number(portText), host, () => process.stdout.write(`${JSON.stringify(server.address())}\n`));
