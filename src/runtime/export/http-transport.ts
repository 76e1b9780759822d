// POSTs encoded requests over HTTP/1.1 keep-alive connections; the answer becomes an ExportOutcome.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { errorCode, errorMessage } from '../usage-error.ts';
import type { ExportOutcome, Transport } from './outcome.ts';
import { judgeHttp } from './retryable.ts';

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
  // Taken apart once: a URL handed to every call is taken apart at every call.
  const target = { ...urlToHttpOptions(url), method: 'POST', agent };
  const fixedHeaders = { 'content-type': options.contentType, ...options.headers };

  const post = (body: Uint8Array, extra: Readonly<Record<string, string>>) =>
    new Promise<ExportOutcome>((resolve) => {
      const headers = { ...fixedHeaders, 'content-length': body.byteLength, ...extra };
      const call = request({ ...target, headers }, (response) =>
        readResponse(response, options.maxResponseBytes ?? 4 << 20, resolve),
      );
      // The deadline bounds the whole attempt, a trickling peer included.
      const deadline = setTimeout(
        () => call.destroy(new Error(`no answer within ${options.timeoutMs} ms`)),
        options.timeoutMs,
      );
      call.on('error', (error) => resolve({ kind: 'retry', reason: errorCode(error) ?? errorMessage(error) }));
      call.on('close', () => {
        clearTimeout(deadline);
        resolve({ kind: 'retry', reason: 'connection closed before the answer' });
      });
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
  response.on('end', () => {
    const { statusCode = 0, headers } = response;
    done(judgeHttp(statusCode, headers['retry-after'], Buffer.concat(chunks)));
  });
}
