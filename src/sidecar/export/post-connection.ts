// One keep-alive connection that POSTs one request at a time: what is left of an HTTP client when only that is asked.
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import { errorCode, errorMessage } from '../../runtime/usage-error.ts';
import { BodyReader } from '../../wire/http1/body-reader.ts';
import { FieldNames } from '../../wire/http1/field-names.ts';
import { Framing, framingFields } from '../../wire/http1/framing.ts';
import { HeadScanner } from '../../wire/http1/head-scanner.ts';
import { latin1 } from '../../wire/http1/latin1.ts';

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: Uint8Array;
}

/** An answer, or why there is none; stale: a connection used before was closed without a byte of an answer. */
export type PostResult = Answer | { readonly failure: string; readonly staleConnection: boolean };

export interface PostTarget {
  readonly host: string;
  readonly port: number;
  /** Undefined for plain HTTP. */
  readonly tls: TlsOptions | undefined;
}

const fieldNames = new FieldNames([...framingFields, 'retry-after']);
const retryAfterId = framingFields.length;
const maxAnswerBytes = 4 << 20;

/** Open until `closed`; `post` only when not `busy`. */
export class PostConnection {
  closed = false;
  readonly #socket: Socket;
  readonly #scanner = new HeadScanner('response', fieldNames);
  readonly #framing = new Framing();
  readonly #body = new BodyReader();
  #received: Buffer = Buffer.alloc(0);
  #bodyStart = 0;
  #posts = 0;
  #done: ((result: PostResult) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(target: PostTarget) {
    const { host, port, tls } = target;
    this.#socket = tls === undefined ? connect({ host, port, noDelay: true }) : connectTls({ host, port, ...tls });
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#fail(errorCode(error) ?? errorMessage(error), true));
    this.#socket.on('close', () => this.#ended());
  }

  get busy(): boolean {
    return this.#done !== undefined;
  }

  /** Sends `head` (latin1, blank line included) and `body`; `timeoutMs` bounds the whole exchange. Never rejects. */
  post(head: string, body: Uint8Array, timeoutMs: number): Promise<PostResult> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#posts++;
      this.#received = Buffer.alloc(0);
      this.#bodyStart = 0;
      this.#scanner.reset();
      this.#timer = setTimeout(() => this.#fail(`no answer within ${timeoutMs} ms`), timeoutMs);
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#socket.write(body);
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#fail('closed');
  }

  #read(chunk: Buffer): void {
    if (this.#done === undefined) {
      this.#fail('an answer nobody asked for');
      return;
    }
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    if (this.#received.length > maxAnswerBytes) {
      this.#fail('the answer is too long');
      return;
    }
    if (this.#bodyStart === 0) this.#readHead();
    else this.#readBody(this.#received.length - chunk.length);
  }

  #readHead(): void {
    for (;;) {
      const end = this.#scanner.scan(this.#received, 0, this.#received.length);
      if (end === 0) return;
      if (end > 0) this.#framing.readFrom(this.#scanner, this.#received, 0);
      if (end < 0 || this.#framing.doubt !== undefined) {
        this.#fail(`no HTTP answer: ${this.#scanner.doubt}`);
        return;
      }
      if (this.#scanner.statusCode >= 200) {
        this.#bodyStart = end;
        this.#startBody();
        return;
      }
      this.#received = this.#received.subarray(end);
      this.#scanner.reset();
    }
  }

  #startBody(): void {
    const status = this.#scanner.statusCode;
    if (status === 204 || status === 304) this.#body.startNone();
    else if (this.#framing.chunked) this.#body.startChunked();
    else if (this.#framing.contentLength >= 0) this.#body.startLength(this.#framing.contentLength);
    else this.#body.startUntilClose();
    this.#readBody(this.#bodyStart);
  }

  #readBody(from: number): void {
    this.#body.read(this.#received, from, this.#received.length);
    if (this.#body.failed) this.#fail('no HTTP answer: bad body');
    else if (this.#body.done) this.#answered();
  }

  #answered(): void {
    // An answer before the whole request has gone leaves nothing to build on.
    const sent = this.#socket.writableLength === 0;
    const keep = sent && !this.#framing.closes(this.#scanner.minorVersion) && !this.#body.untilClose;
    const { statusCode: status, fields, knownCount } = this.#scanner;
    let retryAfter: string | undefined;
    for (let i = 0, at = 0; i < knownCount; i++, at += 5) {
      if (fields[at] === retryAfterId) retryAfter = latin1(this.#received, fields[at + 2]!, fields[at + 3]!);
    }
    this.#settle({ status, retryAfter, body: this.#payload() });
    if (!keep) this.#fail('closed');
  }

  /** The body without chunk framing; answers that matter are short, so chunks are joined only when there are any. */
  #payload(): Uint8Array {
    const raw = this.#received.subarray(this.#bodyStart);
    if (!this.#framing.chunked) return Uint8Array.from(raw);
    const pieces: Buffer[] = [];
    for (let at = 0; ; ) {
      const lineEnd = raw.indexOf('\r\n', at);
      const size = Number.parseInt(latin1(raw, at, lineEnd), 16);
      if (!(size > 0)) return Buffer.concat(pieces);
      pieces.push(raw.subarray(lineEnd + 2, lineEnd + 2 + size));
      at = lineEnd + 4 + size;
    }
  }

  #settle(result: PostResult): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    done?.(result);
  }

  #ended(): void {
    const untilClose = this.#done !== undefined && this.#bodyStart > 0 && this.#body.untilClose;
    if (untilClose) this.#answered();
    this.#fail('connection closed before the answer', true);
  }

  #fail(failure: string, byPeer = false): void {
    const staleConnection = byPeer && this.#posts > 1 && this.#received.length === 0;
    this.closed = true;
    this.#settle({ failure, staleConnection });
    this.#socket.destroy();
  }
}
