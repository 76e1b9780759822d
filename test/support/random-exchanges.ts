// Random but repeatable HTTP/1.1 exchanges: every kind of framing, pipelined, cut anywhere.

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** Exchanges of one connection, each message as its bytes. */
export interface Plan {
  readonly requests: readonly Buffer[];
  readonly responses: readonly Buffer[];
  readonly statuses: readonly number[];
}

/** A whole number from 0 up to, but not including, `below`. */
export type Random = (below: number) => number;

/** mulberry32: a failing run can be repeated. */
export function seededRandom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Sizes for writing `total` bytes in pieces: tiny ones, or up to a socket's read. */
export function randomSizes(random: Random, total: number): number[] {
  const largest = [3, 40, 700, 70_000][random(4)]!;
  return Array.from({ length: 50 }, () => 1 + random(Math.min(largest, total))).concat(total > 20_000 ? [60_000] : []);
}

/** One to eight pipelined exchanges with every kind of framing. */
export function randomPlan(random: Random, connection: number): Plan {
  const count = 1 + random(8);
  const requests: Buffer[] = [];
  const responses: Buffer[] = [];
  const statuses: number[] = [];
  for (let k = 0; k < count; k++) {
    const isLast = k === count - 1;
    const method = isLast ? 'GET' : ['GET', 'HEAD', 'POST', 'DELETE', 'PATCH', 'OPTIONS'][random(6)]!;
    const status = [200, 204, 304, 404, 500, 201][random(6)]!;
    const lines = [
      `Host: h${k}`,
      ...Array.from({ length: random(5) }, (_, n) => `X-${n}:${' '.repeat(random(3))}${n}`),
    ];
    if (isLast) lines.push(`X-Last: ${connection}`);
    const crlf = k > 0 && random(6) === 0 ? '\r\n' : '';
    requests.push(
      message(random, `${crlf}${method} /${connection}/${k} HTTP/1.1`, lines, !isLast && method !== 'HEAD'),
    );
    const interim = random(5) === 0 ? 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' : '';
    const hasBody = method !== 'HEAD' && status !== 204 && status !== 304;
    responses.push(latin1(interim), message(random, `HTTP/1.1 ${status} Any Reason`, ['Server: x'], hasBody, hasBody));
    statuses.push(status);
  }
  return { requests, responses, statuses };
}

/** A message with no body, one of a length, or a chunked one; `framed` asks for one of the last two. */
function message(
  random: Random,
  start: string,
  lines: readonly string[],
  mayHaveBody: boolean,
  framed = false,
): Buffer {
  const form = mayHaveBody ? random(framed ? 2 : 3) : 2;
  const body = 'z'.repeat([0, 1, 17, 900, 40_000][random(5)]!);
  if (form === 2) return latin1([start, ...lines, '', ''].join('\r\n'));
  if (form === 0) return latin1([start, ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n'));
  const chunks: string[] = [];
  for (let at = 0; at < body.length; ) {
    const size = 1 + random(5000);
    const piece = body.slice(at, at + size);
    chunks.push(`${piece.length.toString(16)}${random(3) === 0 ? ';e=1' : ''}\r\n${piece}\r\n`);
    at += size;
  }
  const trailers = random(3) === 0 ? 'X-Trailer: 1\r\n' : '';
  return latin1(
    `${[start, ...lines, 'transfer-encoding: chunked', '', ''].join('\r\n')}${chunks.join('')}0\r\n${trailers}\r\n`,
  );
}
