// What the proxy itself answers: a status, a line of text that says what to do, and the span of the request it cost.
import type { Address } from '../../runtime/address.ts';
import { formatAddress } from '../../runtime/address.ts';
import { HeadScanner } from '../../wire/http1/head-scanner.ts';
import { nowMs } from '../clock.ts';
import { Exchange, type ResponseFlag } from '../exchange.ts';
import type { TracedConnection, Tracer } from '../tracer.ts';

export interface Refusal {
  readonly status: number;
  /** For `error.type` and the counters. */
  readonly reason: string;
  readonly flag: ResponseFlag;
  /** One sentence for whoever reads the answer. */
  readonly text: string;
}

const phrases: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  504: 'Gateway Timeout',
  508: 'Loop Detected',
};

/** What came cannot be proxied: why, by the reason the parsers give. */
export function refuseRequest(reason: string, proxy: Address): Refusal {
  const flag = 'DPE';
  const url = `http://${formatAddress(proxy)}`;
  switch (reason) {
    case 'not_a_proxy_request':
    case 'not_http':
    case 'bad_request_line':
      return {
        ...{ status: 400, reason, flag },
        text: `this is a forward proxy: it takes requests for http:// URLs and CONNECT; set HTTP_PROXY=${url} (and HTTPS_PROXY, NO_PROXY) in the client's environment`,
      };
    case 'unsupported_scheme':
      return {
        ...{ status: 501, reason, flag },
        text: 'only http:// URLs can be asked for in clear; for https:// the client has to use CONNECT, as it does when HTTPS_PROXY is set',
      };
    case 'bad_authority':
      return { status: 400, reason, flag, text: 'the request names no host and port that one can connect to' };
    case 'head_too_large':
    case 'too_many_fields':
      return {
        status: 431,
        reason,
        flag,
        text: 'the request head is larger than --max-head-bytes, or has too many lines',
      };
    case 'head_timeout':
      return { status: 408, reason, flag, text: 'the request head did not come within --head-timeout' };
    default:
      return {
        status: 400,
        reason,
        flag,
        text: `the request could be read in two ways (${reason.replaceAll('_', ' ')})`,
      };
  }
}

/** The target would come back to this proxy. */
export function refuseLoop(target: Address): Refusal {
  return {
    ...{ status: 508, reason: 'proxy_loop', flag: 'UF' },
    text: `${formatAddress(target)} is this proxy itself`,
  };
}

const connectTexts: Readonly<Record<string, string>> = {
  refused: 'nobody listens there',
  unreachable: 'there is no way to that address',
  dns: 'the name does not resolve',
  timeout: 'no answer within --connect-timeout',
};

/** The target could not be reached: `reason` as `connectFailure` gives it. */
export function refuseUnreached(target: Address, reason: string): Refusal {
  return {
    ...{ status: reason === 'timeout' ? 504 : 502, reason: `connection_${reason}`, flag: 'UF' },
    text: `cannot connect to ${formatAddress(target)}: ${connectTexts[reason] ?? 'the connection failed'}`,
  };
}

/** The answer on the wire; the connection ends behind it. HEAD gets no body. */
export function formatRefusal({ status, text }: Refusal, isHead: boolean): string {
  const body = `tracecar: ${text}\n`;
  const head = `HTTP/1.1 ${status} ${phrases[status] ?? ''}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  return isHead ? head : head + body;
}

/** Makes the span of a request that no origin has seen, from its complete head. */
export function traceRefused(
  tracer: Tracer,
  connection: TracedConnection,
  head: string,
  startMs: number,
  { status, reason, flag }: Refusal,
): void {
  const scanner = new HeadScanner('request', tracer.fieldNames, head.length + 1);
  if (scanner.scan(Buffer.from(head, 'latin1'), 0, head.length) <= 0) return;
  const exchange = new Exchange();
  exchange.startMs = startMs || nowMs();
  tracer.open(exchange, scanner, head, 0, connection);
  exchange.requestDone = true;
  exchange.responseDone = true;
  exchange.status = status;
  exchange.responseFlag = flag;
  exchange.errorType = reason;
  tracer.close(exchange, connection);
}
