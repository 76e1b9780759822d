// Reads along the first bytes of a connection that is not read further: a TLS ClientHello, PostgreSQL's opening messages.
import { PostgresOpeningReader } from '../wire/postgres/ssl-request.ts';
import { ClientHelloReader } from '../wire/tls/client-hello.ts';
import type { ConnectionSpan } from './connection-span.ts';

export class Prelude {
  readonly #span: ConnectionSpan;
  #hello: ClientHelloReader | undefined;
  #postgres: PostgresOpeningReader | undefined;

  constructor(protocol: 'tls' | 'postgresql', span: ConnectionSpan) {
    this.#span = span;
    if (protocol === 'tls') this.#hello = new ClientHelloReader();
    else this.#postgres = new PostgresOpeningReader();
  }

  /** Reads the client's `bytes[0..length)`; false when nothing more is to be learned. */
  read(bytes: Uint8Array, length: number): boolean {
    let at = 0;
    while (at < length) {
      if (this.#hello === undefined) {
        at = this.#readPostgres(bytes, at, length);
        if (at < 0) return false;
      } else {
        this.#hello.read(bytes, at, length);
        if (this.#hello.state === 'reading') return true;
        this.#helloRead(this.#hello);
        return false;
      }
    }
    return true;
  }

  /** @returns the index up to where the bytes are read, -1 when nothing more is to be learned */
  #readPostgres(bytes: Uint8Array, from: number, to: number): number {
    // Behind an SSLRequest comes a ClientHello if the server agreed, else another opening in clear.
    const isHello = this.#postgres === undefined && bytes[from] === 0x16;
    if (isHello) {
      this.#hello = new ClientHelloReader();
      return from;
    }
    this.#postgres ??= new PostgresOpeningReader();
    const reader = this.#postgres;
    const end = reader.read(bytes, from, to);
    if (reader.state === 'reading') return end;
    this.#span.database = reader.database;
    const { opening } = reader;
    const anotherFollows = opening === 'ssl_request' || opening === 'gssenc_request';
    if (reader.state === 'failed' || !anotherFollows) return -1;
    this.#postgres = undefined;
    return end;
  }

  #helloRead(hello: ClientHelloReader): void {
    if (hello.state === 'failed') {
      // It looked like TLS and is not.
      if (this.#span.protocol === 'tls') this.#span.protocol = 'opaque';
      return;
    }
    this.#span.encrypted = true;
    this.#span.serverName = hello.serverName;
    this.#span.alpn = hello.alpn;
  }
}
