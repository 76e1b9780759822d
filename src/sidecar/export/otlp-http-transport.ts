// OTLP over HTTP/protobuf on connections of our own: node:http costs several times the POST itself at a sidecar's pace.
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { readTlsFiles, type TlsFiles } from '../../runtime/export/http-transport.ts';
import type { ExportOutcome, Transport } from '../../runtime/export/outcome.ts';
import { judgeHttp } from '../../runtime/export/retryable.ts';
import { type Answer, PostConnection, type PostTarget } from './post-connection.ts';

const gzipAsync = promisify(gzip);

export interface OtlpHttpOptions {
  /** `http://` or `https://`, with the path to POST to. */
  readonly url: string;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'none' | 'gzip';
  readonly tls: TlsFiles;
}

/**
 * A transport that POSTs `application/x-protobuf` to one URL, on as many connections as there are requests at a time.
 * @throws when a TLS file cannot be read, the URL is none, or a header is not fit to be sent
 */
export function createOtlpHttpTransport(options: OtlpHttpOptions): Transport {
  const url = new URL(options.url);
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const tls = secure ? { servername: host, ...readTlsFiles(options.tls) } : undefined;
  const target: PostTarget = { host, port: Number(url.port) || (secure ? 443 : 80), tls };
  const fixedHead = requestHead(url, options);
  const idle: PostConnection[] = [];

  const take = (): PostConnection => {
    for (let free = idle.pop(); free !== undefined; free = idle.pop()) if (!free.closed) return free;
    return new PostConnection(target);
  };

  const post = async (head: string, body: Uint8Array): Promise<Answer | string> => {
    for (;;) {
      const connection = take();
      const result = await connection.post(head, body, options.timeoutMs);
      if (!connection.closed) idle.push(connection);
      if ('status' in result) return result;
      // The peer closed an idle connection just as it was used again: nothing was read from it, so ask again at once.
      if (!result.staleConnection) return result.failure;
    }
  };

  return {
    async send(body, headers = {}): Promise<ExportOutcome> {
      const zipped = options.compression === 'gzip' ? await gzipAsync(body) : body;
      let head = fixedHead;
      for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
      const result = await post(`${head}content-length: ${zipped.byteLength}\r\n\r\n`, zipped);
      if (typeof result === 'string') return { kind: 'retry', reason: result };
      return judgeHttp(result.status, result.retryAfter, result.body);
    },
    close() {
      for (const connection of idle) connection.close();
    },
  };
}

/** Request line and the headers that are the same for every request. */
function requestHead(url: URL, options: OtlpHttpOptions): string {
  const headers: Record<string, string> = { host: url.host, 'content-type': 'application/x-protobuf' };
  if (options.compression === 'gzip') headers['content-encoding'] = 'gzip';
  if (url.username !== '') {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  }
  const lines = Object.entries({ ...headers, ...options.headers }).map(([name, value]) => {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return `${name}: ${value}\r\n`;
  });
  return `POST ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}`;
}
