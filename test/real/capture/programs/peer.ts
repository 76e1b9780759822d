// A plain program inside a namespace, told over its IPC channel to serve or to call. It knows nothing of any sidecar.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';

export interface Reached {
  /** As the server sees it; IPv4 in its own form. */
  readonly client: string;
  readonly headers: http.IncomingHttpHeaders;
}

export type Answer =
  | { readonly status: number; readonly body: string; readonly error?: undefined }
  | { readonly error: string; readonly status?: undefined };

export interface Talk {
  /** What the server sent, latin1. */
  readonly received: string;
  /** '' for FIN, else the error's code. */
  readonly error: string;
}

export interface Tally {
  readonly sent: number;
  readonly answered: number;
  /** Failures by reason. */
  readonly failures: Readonly<Record<string, number>>;
}

const keptOpen: net.Socket[] = [];
let load: { running: boolean; finished: Promise<Tally>; sent: number } | undefined;

function plain(address: string): string {
  return address.replace(/^::ffff:/, '');
}

async function listen(server: net.Server, port: number): Promise<number> {
  server.listen(port, '::');
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** What the test may ask for. Arguments and results cross the channel as JSON. */
const actions = {
  /** Answers every request with who called and with which headers. */
  async serveHttp({ port }: { port: number }): Promise<number> {
    const server = http.createServer((request, response) => {
      const reached: Reached = { client: plain(request.socket.remoteAddress ?? ''), headers: request.headers };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(reached));
    });
    return await listen(server, port);
  },

  /** Speaks first, then repeats what it hears. */
  async serveBanner({ port }: { port: number }): Promise<number> {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.write(`220 ${plain(socket.remoteAddress ?? '')}\r\n`);
      socket.pipe(socket);
    });
    return await listen(server, port);
  },

  async serveTls({ port, key, cert }: { port: number; key: string; cert: string }): Promise<number> {
    const server = tls.createServer({ key, cert }, (socket) => socket.end('over TLS'));
    server.on('tlsClientError', () => {});
    return await listen(server, port);
  },

  /** Sends each datagram back with who sent it. */
  async serveUdp({ port }: { port: number }): Promise<number> {
    const socket = createSocket('udp6');
    socket.on('message', (message, from) => socket.send(`${plain(from.address)} ${message}`, from.port, from.address));
    socket.bind(port, '::');
    await once(socket, 'listening');
    return socket.address().port;
  },

  /** Takes OTLP over HTTP; each body goes to the test as it is. */
  async collect({ port }: { port: number }): Promise<number> {
    const server = http.createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      process.send?.({ spans: Buffer.concat(chunks).toString('base64') });
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
    return await listen(server, port);
  },

  /** One GET on a connection of its own. */
  get({ url, headers }: { url: string; headers?: Readonly<Record<string, string>> }): Promise<Answer> {
    return get(url, headers);
  },

  async post({ url }: { url: string }): Promise<Answer> {
    return await get(url, {}, 'POST');
  },

  /** Connects, sends, and reads up to `bytes` or to the end. */
  async talk({ host, port, send, bytes }: { host: string; port: number; send: string; bytes: number }): Promise<Talk> {
    const socket = net.connect({ host, port });
    let received = '';
    let error = '';
    socket.on('error', (failure: NodeJS.ErrnoException) => {
      error = failure.code ?? failure.message;
    });
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (received.length >= bytes) socket.end();
    });
    socket.write(send, 'latin1');
    await new Promise((resolve) => socket.once('close', resolve));
    return { received, error };
  },

  /** Connects and stays connected; resolves with the port it calls from. */
  async hold({ host, port }: { host: string; port: number }): Promise<number> {
    const socket = net.connect({ host, port });
    socket.on('error', () => {});
    await once(socket, 'connect');
    keptOpen.push(socket);
    return socket.localPort ?? 0;
  },

  async getTls({ host, port, serverName }: { host: string; port: number; serverName: string }): Promise<Talk> {
    const socket = tls.connect({ host, port, servername: serverName, rejectUnauthorized: false });
    let received = '';
    let error = '';
    socket.on('error', (failure: NodeJS.ErrnoException) => {
      error = failure.code ?? failure.message;
    });
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    await new Promise((resolve) => socket.once('close', resolve));
    return { received, error };
  },

  /** One datagram there and one back; the error's code when ICMP says that nobody is there, '' after two seconds. */
  async exchangeUdp({ host, port, text }: { host: string; port: number; text: string }): Promise<string> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const answered = new Promise<string>((resolve) => {
      socket.once('message', (message) => resolve(message.toString()));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      setTimeout(() => resolve(''), 2_000).unref();
    });
    // Only a connected socket is told what ICMP says.
    socket.connect(port, host, () => socket.send(text));
    const answer = await answered;
    socket.close();
    return answer;
  },

  /** GETs on new connections, `lanes` at a time, until `stopLoad`. */
  async startLoad({ url, lanes }: { url: string; lanes: number }): Promise<void> {
    load = { running: true, sent: 0, finished: Promise.resolve({ sent: 0, answered: 0, failures: {} }) };
    load.finished = runLoad(load, url, lanes);
  },

  async loadSent(): Promise<number> {
    return load?.sent ?? 0;
  },

  async stopLoad(): Promise<Tally> {
    if (load === undefined) throw new Error('there is no load');
    load.running = false;
    return await load.finished;
  },
};

export type Actions = typeof actions;

async function runLoad(state: { running: boolean; sent: number }, url: string, lanes: number): Promise<Tally> {
  const failures: Record<string, number> = {};
  let answered = 0;
  const lane = async () => {
    while (state.running) {
      state.sent++;
      const { status, error } = await get(url);
      if (status === 200) answered++;
      else failures[error ?? status] = (failures[error ?? status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { sent: state.sent, answered, failures };
}

function get(url: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message });
    const request = http.request(url, { agent: false, headers, method }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('error', failed).on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('error', failed).end();
  });
}

interface Asked {
  readonly id: number;
  readonly action: keyof Actions;
  readonly argument: never;
}

process.on('message', ({ id, action, argument }: Asked) => {
  const answer = (message: object) => process.send?.({ id, ...message });
  const act = actions[action] as (argument: never) => Promise<unknown>;
  act(argument).then(
    (result) => answer({ result }),
    (error: unknown) => answer({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
