// What is behind a 101 or a 2xx to CONNECT: bytes counted on the exchange that asked for it, and WebSocket messages.
import { FrameCounter } from '../wire/websocket/frame-counter.ts';
import type { Exchange } from './exchange.ts';

export class Tunnel {
  readonly exchange: Exchange;
  /** WebSocket frames (RFC 6455); undefined when the tunnel carries something else. */
  readonly #fromClient: FrameCounter | undefined;
  readonly #fromServer: FrameCounter | undefined;

  constructor(exchange: Exchange) {
    this.exchange = exchange;
    if (!exchange.webSocketAsked || exchange.status !== 101) return;
    this.#fromClient = new FrameCounter();
    this.#fromServer = new FrameCounter();
    exchange.messagesFromClient = 0;
    exchange.messagesFromServer = 0;
  }

  clientData(bytes: Uint8Array, length: number): void {
    const { exchange } = this;
    exchange.requestBytes += length;
    if (this.#fromClient === undefined || this.#fromClient.failed) return;
    this.#fromClient.read(bytes, 0, length);
    exchange.messagesFromClient = this.#fromClient.messages;
  }

  serverData(bytes: Uint8Array, from: number, to: number): void {
    const { exchange } = this;
    exchange.responseBytes += to - from;
    if (this.#fromServer === undefined || this.#fromServer.failed) return;
    this.#fromServer.read(bytes, from, to);
    exchange.messagesFromServer = this.#fromServer.messages;
  }
}
