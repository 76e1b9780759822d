// Node's own clients: http with a keep-alive agent, and fetch. Arguments: http|fetch, port.
import { once } from 'node:events';
import http from 'node:http';

const [, , which, port] = process.argv;
const say = (...words) => process.stdout.write(`${words.join(' ')}\n`);
const data = Buffer.alloc(1 << 21, 'data');

async function* pieces() {
  for (let at = 0; at < data.length; at += 10_000) yield data.subarray(at, at + 10_000);
}

async function withHttp() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const send = async (method, path, headers = {}, body = []) => {
    const request = http.request({ agent, host: '127.0.0.1', port, method, path, headers });
    request.on('continue', () => say('100 Continue'));
    if (headers.Expect !== undefined) {
      request.flushHeaders();
      await once(request, 'continue');
    }
    for await (const piece of body) request.write(piece);
    request.end();
    const [response] = await once(request, 'response');
    let text = '';
    for await (const chunk of response) text += chunk;
    say(response.statusCode, response.rawHeaders.join('|'), 'reused', request.reusedSocket);
    say(text);
  };
  await send('GET', '/get?a=b', { 'X-CaSe': 'kept', 'x-twice': ['1', '2'] });
  await send('HEAD', '/head');
  await send('POST', '/length', { 'Content-Length': data.length }, [data]);
  await send('POST', '/chunked', {}, pieces());
  await send('PUT', '/expect', { Expect: '100-continue', 'Content-Length': data.length }, [data]);
  // Twenty at once wait for the one connection.
  await Promise.all(Array.from({ length: 20 }, (_, i) => send('GET', `/queued/${i}`)));
  agent.destroy();
}

async function withFetch() {
  const send = async (path, options) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, options);
    say(response.status, JSON.stringify([...response.headers]));
    say(await response.text());
  };
  await send('/get');
  await send('/form', { method: 'POST', body: new URLSearchParams({ a: '1' }) });
  await send('/length', { method: 'PUT', body: data });
  await send('/chunked', { method: 'POST', body: pieces(), duplex: 'half' });
  await send('/head', { method: 'HEAD' });
}

await (which === 'http' ? withHttp() : withFetch());
