// POSTs encoded requests over HTTP/1.1 keep-alive connections; the answer becomes an ExportOutcome.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { errorCode, errorMessage } from '../usage-error.ts';
import type { ExportOutcome, Transport } from './outcome.ts';
import { isRetryableHttp, parseRetryAfterMs } from './retryable.ts';

const gzipAsync = promisify(gzip);

export interface TlsFiles {
  readonly certificate?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;
}

export interface HttpTransportOptions {
  readonly url: string;
  readonly contentType: string;
  readonly timeoutMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly compression?: 'none' | 'gzip';
  readonly maxConnections?: number;
  readonly maxResponseBytes?: number;
  readonly tls?: TlsFiles;
}

/** Reads TLS files (PEM); throws when one cannot be read. */
export function readTlsFiles(tls: TlsFiles | undefined): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return {
    ...(tls?.certificate ? { ca: readFileSync(tls.certificate) } : {}),
    ...(tls?.clientCertificate ? { cert: readFileSync(tls.clientCertificate) } : {}),
    ...(tls?.clientKey ? { key: readFileSync(tls.clientKey) } : {}),
  };
}

/** A transport that POSTs to one URL. 2xx is accepted; 400, 413 and 415 are splittable refusals. */
export function createHttpTransport(options: HttpTransportOptions): Transport {
  const url = new URL(options.url);
  const secure = url.protocol === 'https:';
  const agentOptions = { keepAlive: true, maxSockets: options.maxConnections ?? 4 };
  const agent = secure
    ? new https.Agent({ ...agentOptions, ...readTlsFiles(options.tls) })
    : new http.Agent(agentOptions);
  const request = secure ? https.request : http.request;

  const post = (body: Uint8Array, extra: Readonly<Record<string, string>>) =>
    new Promise<ExportOutcome>((resolve) => {
      const call = request(
        url,
        {
          method: 'POST',
          agent,
          timeout: options.timeoutMs,
          headers: {
            'content-type': options.contentType,
            'content-length': body.byteLength,
            ...options.headers,
            ...extra,
          },
        },
        (response) => readResponse(response, options.maxResponseBytes ?? 4 << 20, resolve),
      );
      // `timeout` above is idle time; the deadline bounds the whole attempt, a trickling peer included.
      const deadline = setTimeout(
        () => call.destroy(new Error(`no answer within ${options.timeoutMs} ms`)),
        options.timeoutMs,
      );
      call.on('error', (error) => resolve({ kind: 'retry', reason: errorCode(error) ?? errorMessage(error) }));
      call.on('close', () => {
        clearTimeout(deadline);
        resolve({ kind: 'retry', reason: 'connection closed before the answer' });
      });
      call.on('timeout', () => call.destroy(new Error(`no answer within ${options.timeoutMs} ms`)));
      call.end(body);
    });

  return {
    async send(body, headers = {}) {
      if (options.compression !== 'gzip') return post(body, headers);
      return post(await gzipAsync(body), { ...headers, 'content-encoding': 'gzip' });
    },
    close: () => agent.destroy(),
  };
}

function readResponse(response: http.IncomingMessage, maxBytes: number, done: (outcome: ExportOutcome) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('data', (chunk: Buffer) => {
    size += chunk.byteLength;
    if (size > maxBytes) response.destroy();
    else chunks.push(chunk);
  });
  response.on('error', () => done({ kind: 'retry', reason: 'connection lost in the answer' }));
  response.on('end', () => done(judge(response, Buffer.concat(chunks))));
}

function judge(response: http.IncomingMessage, body: Buffer): ExportOutcome {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return { kind: 'accepted', response: body };
  const reason = `HTTP ${status}`;
  if (!isRetryableHttp(status)) {
    return { kind: 'rejected', reason, splittable: status === 400 || status === 413 || status === 415 };
  }
  const delayMs = parseRetryAfterMs(response.headers['retry-after'], Date.now());
  return delayMs === undefined ? { kind: 'retry', reason } : { kind: 'retry', reason, delayMs };
}
