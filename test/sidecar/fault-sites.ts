// Where exceptions are injected: every call from the byte path into observers, tracer and exporter, and traffic that makes it.
import assert from 'node:assert/strict';
import { Connection } from '../../src/sidecar/connection.ts';
import { SlowHeadWatch, SpanAllowance } from '../../src/sidecar/connection-guards.ts';
import { ConnectionSpan } from '../../src/sidecar/connection-span.ts';
import { ExchangeQueue } from '../../src/sidecar/exchange.ts';
import { HeaderForwarding } from '../../src/sidecar/header-forwarding.ts';
import { HeldHead } from '../../src/sidecar/held-head.ts';
import { Http1Observer } from '../../src/sidecar/http1-observer.ts';
import { RequestReader } from '../../src/sidecar/http1-requests.ts';
import { ResponseReader } from '../../src/sidecar/http1-responses.ts';
import { Prelude } from '../../src/sidecar/prelude.ts';
import { RequestFields } from '../../src/sidecar/request-fields.ts';
import { ScannerPool } from '../../src/sidecar/scanner-pool.ts';
import { DirectionStats } from '../../src/sidecar/stats.ts';
import { Tracer } from '../../src/sidecar/tracer.ts';
import { Tunnel } from '../../src/sidecar/tunnel.ts';
import { BodyReader } from '../../src/wire/http1/body-reader.ts';
import { EventStreamCounter } from '../../src/wire/http1/event-stream-counter.ts';
import { Framing } from '../../src/wire/http1/framing.ts';
import { HeadScanner } from '../../src/wire/http1/head-scanner.ts';
import { PostgresOpeningReader } from '../../src/wire/postgres/ssl-request.ts';
import { ProxyHeaderReader } from '../../src/wire/proxy-protocol/reader.ts';
import { ClientHelloReader } from '../../src/wire/tls/client-hello.ts';
import { FrameCounter } from '../../src/wire/websocket/frame-counter.ts';
import { CountingExporter } from '../support/in-process-sidecar.ts';

/** One turn of a conversation: the client sends, the server answers once it has got all of it. */
export type Turn = readonly [client: string, server: string];

export const get = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n';
export const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
const chunks = '3\r\nabc\r\n0\r\n\r\n';

export const scenarios = {
  http: [
    [get, ok],
    [
      `POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
      `HTTP/1.1 201 X\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
    ],
    [get + get, ok + ok],
    ['GET /half HTTP/1.1\r\nHo', ''],
  ],
  'a head in pieces': [
    ['GET /c HTTP/1.1\r\nHost: ', ''],
    ['h\r\nX: y\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-'],
    ['', 'Length: 2\r\n\r\nhi'],
    [get, ok],
  ],
  'a doubt': [
    [get, ok],
    ['GET /d HTTP/1.1\nHost: h\n\n', ok],
  ],
  'an unasked answer': [
    [get, ok + ok],
    [get, ok],
  ],
  'a tunnel': [
    [
      'GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      'HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    ],
    ['\x81\x82\x00\x00\x00\x00hi', '\x81\x02hi'],
    ['\x81\x81\x00\x00\x00\x00x', '\x81\x01x'],
  ],
  'an event stream': [
    [
      get,
      'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: a\n\n\r\n',
    ],
    ['', '9\r\ndata: b\n\n\r\n0\r\n\r\n'],
    [get, ok],
  ],
  'a PROXY header': [
    [`PROXY TCP4 10.1.2.3 10.1.2.4 5000 80\r\n${get}`, ok],
    [get, ok],
  ],
  'a first byte alone': [
    ['P', ''],
    ['OST /p HTTP/1.1\r\nContent-Length: 0\r\n\r\n', ok],
    [get, ok],
  ],
  PostgreSQL: [
    ['\0\0\0\x08\x04\xd2\x16\x2f', 'N'],
    ['\0\0\0\x15\0\x03\0\0user\0me\0\0', 'R\0\0\0\x08\0\0\0\0'],
  ],
  TLS: [
    ['\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03', '\x15\x03\x01\x00\x02\x02\x28'],
    ['more', 'and more'],
  ],
  opaque: [
    ['*1\r\n$4\r\nPING\r\n', '+PONG\r\n'],
    ['*1\r\n$4\r\nPING\r\n', '+PONG\r\n'],
  ],
  'a server that speaks first': [
    ['', '220 mail\r\n'],
    ['EHLO x\r\n', '250 mail\r\n'],
  ],
} as const satisfies Record<string, readonly Turn[]>;

type Scenario = keyof typeof scenarios;

/** A method or getter that the byte path calls, and the connections on which it does. */
export interface Site {
  readonly owner: object;
  readonly name: string;
  readonly on: readonly Scenario[];
}

const site = (owner: { readonly prototype: object }, name: string, ...on: readonly Scenario[]): Site => ({
  owner: owner.prototype,
  name,
  on: on.length > 0 ? on : ['http'],
});

const everywhere = Object.keys(scenarios) as Scenario[];
const unread: readonly Scenario[] = ['PostgreSQL', 'TLS', 'opaque', 'a server that speaks first'];

/** What is also called while a fault is being handled: a second fault there may cost the connection. */
export const recovery: readonly Site[] = [
  site(Connection, 'detected', 'http', 'a doubt', ...unread),
  site(Connection, 'observe', 'http', 'a PROXY header', ...unread),
  site(Connection, 'degraded', 'a doubt'),
  site(RequestReader, 'stop', 'http', 'a head in pieces', 'a doubt', 'a tunnel'),
  site(HeldHead, 'take', 'http', 'a head in pieces', 'a doubt'),
  site(HeldHead, 'clear', 'http', 'a head in pieces'),
];

/** Every call that leads from a byte read, a socket's end or a sweep into observers, tracer and exporter. */
export const sites: readonly Site[] = [
  // The connection's answers to its observer.
  site(Connection, 'proxied', 'a PROXY header'),
  site(Connection, 'template', ...everywhere),
  site(Connection, 'admitsSpan', 'http', 'a tunnel'),
  site(SpanAllowance, 'take'),
  // What reads requests.
  site(HeldHead, 'append', 'http', 'a head in pieces'),
  site(HeadScanner, 'scan', 'http', 'a head in pieces', 'a doubt'),
  site(HeadScanner, 'reset'),
  site(Framing, 'readFrom'),
  site(BodyReader, 'read', 'http', 'an event stream'),
  site(ScannerPool, 'take', 'http', 'a head in pieces'),
  site(ScannerPool, 'give', 'http', 'a head in pieces'),
  site(ExchangeQueue, 'push'),
  site(ExchangeQueue, 'shift', 'http', 'a doubt', 'a tunnel'),
  site(SlowHeadWatch, 'isTooSlow', 'http', 'a head in pieces'),
  // What the readers tell.
  site(Http1Observer, 'requestOpened'),
  site(Http1Observer, 'requestBodyRead'),
  site(Http1Observer, 'requestEnded'),
  site(Http1Observer, 'requestDoubt', 'a doubt'),
  site(Http1Observer, 'awaitingResponse'),
  site(Http1Observer, 'responseEnded'),
  site(Http1Observer, 'unsolicitedResponse', 'an unasked answer'),
  site(Http1Observer, 'becameTunnel', 'a tunnel'),
  site(Http1Observer, 'eventStream', 'an event stream'),
  site(RequestReader, 'forwarded', 'a first byte alone'),
  // What reads responses.
  site(ResponseReader, 'read', 'http', 'an unasked answer'),
  site(ResponseReader, 'serverClosed'),
  site(ResponseReader, 'release'),
  site(RequestReader, 'release'),
  // What reads other protocols.
  site(Tunnel, 'clientData', 'a tunnel'),
  site(Tunnel, 'serverData', 'a tunnel'),
  site(FrameCounter, 'read', 'a tunnel'),
  site(ProxyHeaderReader, 'read', 'a PROXY header'),
  site(Prelude, 'read', 'TLS', 'PostgreSQL'),
  site(ClientHelloReader, 'read', 'TLS'),
  site(PostgresOpeningReader, 'read', 'PostgreSQL'),
  site(EventStreamCounter, 'read', 'an event stream'),
  site(ConnectionSpan, 'answered', ...unread),
  // The tracer.
  site(RequestFields, 'read'),
  site(HeaderForwarding, 'gave'),
  site(Tracer, 'open'),
  site(Tracer, 'close', 'http', 'a doubt', 'a tunnel'),
  site(Tracer, 'continue', 'http', 'a tunnel'),
  site(Tracer, 'openConnection', ...unread),
  site(Tracer, 'continueConnection', ...unread),
  site(Tracer, 'closeConnection', ...unread),
  site(DirectionStats, 'countDecision', 'http', 'TLS'),
  site(DirectionStats, 'countRequest'),
];

/** The exporter's doors. */
export const exporterSites: readonly Site[] = [
  site(CountingExporter, 'add', 'http', 'a doubt', 'a tunnel'),
  site(CountingExporter, 'addRecord', 'http', ...unread),
];

/** Makes a site throw at its calls `from` to `to` (0 is the first); returns how to undo it and how often it threw. */
export function inject(
  { owner, name }: Site,
  from: number,
  to: number,
): { readonly thrown: () => number; restore(): void } {
  const original = Object.getOwnPropertyDescriptor(owner, name);
  assert.ok(original !== undefined, `${owner.constructor.name} has no ${name}`);
  let calls = 0;
  let thrown = 0;
  const before = () => {
    const call = calls++;
    if (call < from || call > to) return;
    thrown++;
    throw new Error(`injected into ${owner.constructor.name}.${name}`);
  };
  const { value, get: getter } = original;
  const changed: PropertyDescriptor =
    getter === undefined
      ? {
          value(this: unknown, ...args: unknown[]) {
            before();
            return Reflect.apply(value, this, args);
          },
        }
      : {
          get(this: unknown) {
            before();
            return Reflect.apply(getter, this, []);
          },
        };
  Object.defineProperty(owner, name, { ...original, ...changed });
  return { thrown: () => thrown, restore: () => Object.defineProperty(owner, name, original) };
}
