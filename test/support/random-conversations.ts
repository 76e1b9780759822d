// Random but repeatable HTTP/1 connections of sound messages, and how their bytes may arrive.
import type { Random } from './random-exchanges.ts';

/** A run of bytes from one side that may begin once the other side has sent `after` bytes in all. */
interface Segment {
  readonly bytes: string;
  readonly after: number;
}

/** One connection: both streams (latin1) in order, each part with what must have come before it. */
export class Conversation {
  readonly client: Segment[] = [];
  readonly server: Segment[] = [];
  clientText = '';
  serverText = '';
  /** Heads that are to get our lines. */
  requests = 0;

  /** The client's next bytes; `waits` for all that the server has said before. */
  say(bytes: string, waits = false): void {
    this.client.push({ bytes, after: waits ? this.serverText.length : 0 });
    this.clientText += bytes;
  }

  /** The server's next bytes, sent when the client has sent its first `after` bytes. */
  answer(bytes: string, after: number): void {
    this.server.push({ bytes, after });
    this.serverText += bytes;
  }
}

const pick = <T>(random: Random, options: readonly T[]): T => options[random(options.length)]!;
const oneIn = (random: Random, count: number) => random(count) === 0;

const fieldLines = [
  'Accept: */*\r\n',
  'X-Empty:\r\n',
  'X-Tabs:\t a \t\r\n',
  'x_underscore: 1\r\n',
  'Cookie: a=b; c="d e"\r\n',
  'X-High: \xe9\xff\r\n',
  'Accept: text/html\r\n',
  'Connection: keep-alive\r\n',
  'TE: trailers\r\n',
];
const traceLines = [
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n',
  'b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1\r\n',
  'tracestate: a=1,b=2\r\n',
  'X-Request-Id: mine\r\n',
];

const payloads = ['', 'z', '\r\n\r\n', 'GET /inner HTTP/1.1\r\n\r\n', '0\r\n\r\n', 'y'.repeat(700), 'w'.repeat(20_000)];

function chunked(random: Random, payload: string): string {
  let bytes = '';
  for (let at = 0; at < payload.length; ) {
    const size = 1 + random(pick(random, [2, 40, 9000]));
    const piece = payload.slice(at, at + size);
    const digits = piece.length.toString(16);
    const zeros = '0'.repeat(random(3));
    const extension = pick(random, ['', '', ';a', ';a=b', ';a="b c"']);
    bytes += `${zeros}${oneIn(random, 2) ? digits.toUpperCase() : digits}${extension}\r\n${piece}\r\n`;
    at += size;
  }
  const trailers = pick(random, ['', '', 'X-Sum: 1\r\n', 'A: b\r\nC:\r\n']);
  return `${bytes}${pick(random, ['0', '00', '0;last'])}\r\n${trailers}\r\n`;
}

/** Framing lines and body bytes: of a length, or chunked. */
function framed(random: Random, mayChunk: boolean): { readonly lines: string; readonly body: string } {
  const payload = pick(random, payloads);
  if (mayChunk && oneIn(random, 2)) {
    return {
      lines: pick(random, ['Transfer-Encoding: chunked\r\n', 'transfer-encoding:CHUNKED\r\n']),
      body: chunked(random, payload),
    };
  }
  return { lines: `Content-Length: ${oneIn(random, 5) ? '0' : ''}${payload.length}\r\n`, body: payload };
}

type Kind = 'usual' | 'http10' | 'upgrade' | 'connect' | 'close' | 'untilClose';

/** One exchange; returns whether another may follow on the connection. */
function exchange(random: Random, conversation: Conversation, number: number, traced: boolean): boolean {
  const kind: Kind = pick(random, [
    'usual',
    'usual',
    'usual',
    'usual',
    'usual',
    'http10',
    'upgrade',
    'connect',
    'close',
    'untilClose',
  ]);
  const version = kind === 'http10' ? '1.0' : '1.1';
  const method = kind === 'connect' ? 'CONNECT' : pick(random, ['GET', 'HEAD', 'POST', 'PUT', 'PURGE', 'OPTIONS']);
  const target = kind === 'connect' ? `db-${number}:5432` : `/${number}?q=${number}`;
  const hasBody = kind !== 'connect' && oneIn(random, 2);
  const request = hasBody ? framed(random, kind !== 'http10') : { lines: '', body: '' };
  const own = Array.from({ length: random(4) }, () =>
    pick(random, traced ? [...fieldLines, ...traceLines] : fieldLines),
  );
  const lines = [
    ...(oneIn(random, 10) ? [] : ['Host: h\r\n']),
    ...own,
    kind === 'http10' ? 'Connection: keep-alive\r\n' : '',
    kind === 'close' ? 'Connection: close\r\n' : '',
    kind === 'upgrade' ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n' : '',
    oneIn(random, 8) ? 'Expect: 100-continue\r\n' : '',
    request.lines,
  ];
  const leading = oneIn(random, 6) ? '\r\n' : '';
  conversation.say(`${leading}${method} ${target} HTTP/${version}\r\n${lines.join('')}\r\n`);
  const afterHead = conversation.clientText.length;
  conversation.requests++;
  conversation.say(request.body);
  return answers(random, conversation, kind, method, afterHead);
}

function answers(random: Random, conversation: Conversation, kind: Kind, method: string, afterHead: number): boolean {
  const interim = pick(random, [
    '',
    '',
    '',
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  ]);
  if (interim !== '' && kind !== 'http10') conversation.answer(interim, afterHead);
  // The answer may begin as soon as the head is there: an early one is sound too.
  const switches = kind === 'upgrade' || kind === 'connect';
  const after = oneIn(random, 3) && !switches ? afterHead : conversation.clientText.length;
  if (switches && oneIn(random, 2)) {
    const head =
      kind === 'upgrade'
        ? 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
        : 'HTTP/1.1 200 OK\r\n\r\n';
    conversation.answer(head, after);
    conversation.say('\x16\x03\x01GET /tunnel HTTP/1.1\r\n\r\n\xff\0', true);
    conversation.answer('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\0', after);
    return false;
  }
  const status = switches ? 407 : pick(random, [200, 201, 204, 304, 404, 500, 503]);
  const bodiless = method === 'HEAD' || status === 204 || status === 304;
  const untilClose = kind === 'untilClose' && !bodiless;
  const { lines, body } = untilClose
    ? { lines: '', body: 'v'.repeat(random(3000)) }
    : framed(random, kind !== 'http10');
  const framing = status === 204 ? '' : lines;
  const keepAlive = kind === 'http10' ? 'Connection: keep-alive\r\n' : '';
  const reason = pick(random, ['OK', '', 'Any  Reason \xe9']);
  const version = kind === 'http10' ? pick(random, ['1.0', '1.1']) : '1.1';
  conversation.answer(
    `HTTP/${version} ${status} ${reason}\r\nServer: s\r\n${keepAlive}${framing}\r\n${bodiless ? '' : body}`,
    after,
  );
  // Behind a request to switch nothing is read until it is answered: a client waits for that.
  if (switches) conversation.say('', true);
  return kind !== 'close' && !untilClose;
}

/** One to six exchanges; `traced` lets some bring trace headers. */
export function randomConversation(random: Random, traced: boolean): Conversation {
  const conversation = new Conversation();
  const count = 1 + random(6);
  for (let number = 0; number < count; number++) {
    if (!exchange(random, conversation, number, traced)) break;
  }
  return conversation;
}

export interface Arrival {
  readonly from: 'client' | 'server';
  readonly bytes: string;
}

/** How far a side may have sent, given what the other has. */
function limit(segments: readonly Segment[], othersSent: number): number {
  let at = 0;
  for (const { bytes, after } of segments) {
    if (after > othersSent) return at;
    at += bytes.length;
  }
  return at;
}

/** The conversation in as few pieces as its order allows, the client first. */
export function unsplit(conversation: Conversation): Arrival[] {
  return arrivals(
    conversation,
    () => 'client',
    () => Number.POSITIVE_INFINITY,
  );
}

/** The same in pieces of random sizes, the two directions interleaved at random. */
export function randomArrivals(random: Random, conversation: Conversation): Arrival[] {
  const largest = pick(random, [1, 3, 40, 700, 70_000]);
  return arrivals(
    conversation,
    () => pick(random, ['client', 'server']),
    () => 1 + random(largest),
  );
}

function arrivals(
  { client, server, clientText, serverText }: Conversation,
  next: () => Arrival['from'],
  size: () => number,
): Arrival[] {
  const result: Arrival[] = [];
  const sent = { client: 0, server: 0 };
  const advance = (from: Arrival['from']): boolean => {
    const text = from === 'client' ? clientText : serverText;
    const end = from === 'client' ? limit(client, sent.server) : limit(server, sent.client);
    const bytes = text.slice(sent[from], Math.min(end, sent[from] + size()));
    sent[from] += bytes.length;
    if (bytes !== '') result.push({ from, bytes });
    return bytes !== '';
  };
  while (sent.client < clientText.length || sent.server < serverText.length) {
    const from = next();
    if (advance(from) || advance(from === 'client' ? 'server' : 'client')) continue;
    throw new Error('the conversation waits for itself');
  }
  return result;
}
