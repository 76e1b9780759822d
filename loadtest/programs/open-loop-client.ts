// The open-loop generator where there is no Go: the same schedule and the same output on Node's timers.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { Histogram } from '../histogram.ts';
import type { OpenLoad } from '../open-loop.ts';

const load = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as OpenLoad;
const requests = load.requests.map((request) => Buffer.from(request, 'latin1'));
const latency = new Histogram();
const late = new Histogram();
const errors: Record<string, number> = {};
const pending: number[] = [];
const idle: Link[] = [];
let sent = 0;
let answered = 0;
let reopened = 0;
let inFlight = 0;
let open = 0;
let scheduled = 0;
let answeredMs = 0;
const startMs = performance.now() + 200;
const countFromMs = startMs + load.warmUp * 1000;
const endMs = countFromMs + load.seconds * 1000;
const graceMs = 10_000;

/** One connection; `dueMs` is that of the request in flight on it, undefined when there is none. */
class Link {
  readonly socket: Socket;
  dueMs: number | undefined;
  #text = '';
  #done = false;

  constructor(dueMs: number | undefined) {
    open += 1;
    this.dueMs = dueMs;
    const source = load.sources > 1 ? { localAddress: `127.0.0.${1 + (sent % load.sources)}` } : {};
    this.socket = connect({ port: load.port, host: load.host ?? '127.0.0.1', noDelay: true, ...source });
    this.socket.on('connect', () => (this.dueMs === undefined ? idle.push(this) : this.send(this.dueMs)));
    this.socket.on('data', (chunk: Buffer) => this.#read(chunk.toString('latin1')));
    this.socket.on('error', () => this.#failed('reset'));
    this.socket.on('close', () => this.#closed());
  }

  send(dueMs: number): void {
    this.dueMs = dueMs;
    this.socket.write(requests[sent++ % requests.length] as Buffer);
  }

  #read(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0 || this.dueMs === undefined) return;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#text.slice(0, end))?.[1] ?? 0);
    if (this.#text.length < end + 4 + length) return;
    if (!this.#text.startsWith('HTTP/1.1 200 ')) {
      this.#failed('status');
      this.socket.destroy();
      return;
    }
    if (this.dueMs >= countFromMs) latency.add((performance.now() - this.dueMs) * 1000);
    answered += 1;
    answeredMs = performance.now();
    inFlight -= 1;
    this.dueMs = undefined;
    this.#text = '';
    if (load.close) this.#done = true;
    else idle.push(this);
  }

  #failed(why: string): void {
    if (this.dueMs === undefined && !this.#done) return;
    errors[why] = (errors[why] ?? 0) + 1;
    if (this.dueMs !== undefined) inFlight -= 1;
    this.dueMs = undefined;
  }

  #closed(): void {
    open -= 1;
    if (this.dueMs !== undefined) this.#failed('closed early');
    const at = idle.indexOf(this);
    if (at >= 0) idle.splice(at, 1);
    if (load.close || performance.now() > endMs) return;
    reopened += 1;
    new Link(undefined);
  }
}

function allScheduled(nowMs: number): boolean {
  if (load.total > 0) return scheduled >= load.total;
  return (load.rate > 0 ? dueMs(scheduled) : nowMs) >= endMs;
}

function dueMs(number: number): number {
  return startMs + (number * 1000) / load.rate;
}

function step(): void {
  const nowMs = performance.now();
  const free = () => (load.close ? load.connections - open : idle.length);
  while (!allScheduled(nowMs) && (load.rate > 0 ? dueMs(scheduled) <= nowMs : pending.length < free())) {
    const due = load.rate > 0 ? dueMs(scheduled) : nowMs;
    if (due >= countFromMs) late.add((nowMs - due) * 1000);
    pending.push(due);
    scheduled += 1;
  }
  while (pending.length > 0 && free() > 0) {
    const due = pending.shift() ?? nowMs;
    inFlight += 1;
    if (load.close) new Link(due);
    else idle.shift()?.send(due);
  }
  const over =
    (inFlight === 0 && pending.length === 0) ||
    nowMs > Math.max(answeredMs, load.total > 0 ? startMs : endMs) + graceMs;
  if (allScheduled(nowMs) && over) finish();
  else if (load.rate === 0) setImmediate(step);
  else setTimeout(step, 1);
}

function finish(): void {
  const lost = inFlight + pending.length;
  if (lost > 0) errors.timeout = (errors.timeout ?? 0) + lost;
  const durationUs = Math.round((performance.now() - startMs) * 1000);
  const result = { sent, answered, errors, reopened, durationUs, maxUs: latency.maxUs };
  const line = JSON.stringify({ ...result, latency: latency.sparse(), late: late.sparse() });
  process.stdout.write(`${line}\n`, () => process.exit(0));
}

if (!load.close) for (let i = 0; i < load.connections; i++) new Link(undefined);
setTimeout(step, 200);
