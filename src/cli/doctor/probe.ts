// The doctor's own request: one GET with a fresh sampled context, and what came back.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import tls from 'node:tls';
import { errorCode, errorMessage } from '../../runtime/usage-error.ts';

export interface ProbeResult {
  readonly traceId: string;
  readonly spanId: string;
  /** 0 when there was no answer. */
  readonly status: number;
  /** The system's error code or message, '' when there was an answer. */
  readonly failure: string;
  readonly durationMs: number;
}

/** Sends the request and reads the answer to its end; never rejects. */
export function sendProbe(url: string, timeoutMs: number): Promise<ProbeResult> {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  const startMs = performance.now();
  return new Promise((resolve) => {
    const done = (status: number, failure: string) =>
      resolve({ traceId, spanId, status, failure, durationMs: performance.now() - startMs });
    const request = http.get(
      url,
      {
        agent: false,
        headers: { 'user-agent': 'tracecar-doctor', traceparent: `00-${traceId}-${spanId}-01` },
      },
      (response) => {
        response.resume();
        response.on('end', () => done(response.statusCode ?? 0, ''));
        response.on('error', (error) => done(response.statusCode ?? 0, errorCode(error) ?? errorMessage(error)));
      },
    );
    request.setTimeout(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    request.on('error', (error) => done(0, errorCode(error) ?? errorMessage(error)));
  });
}

/** Whether a TLS handshake succeeds where an http URL leads; never rejects. Whose certificate it is does not matter. */
export function speaksTls(url: string, timeoutMs: number): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = tls.connect({ host, port: Number(port || 80), rejectUnauthorized: false });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => done(false));
    socket.on('secureConnect', () => done(true)).on('error', () => done(false));
    socket.on('close', () => resolve(false));
  });
}
