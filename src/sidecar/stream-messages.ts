// Counts the messages within one exchange: WebSocket messages both ways, or Server-Sent Events.
import type { PayloadReader } from '../wire/http1/body-reader.ts';
import { EventStreamCounter } from '../wire/http1/event-stream-counter.ts';
import { FrameCounter } from '../wire/websocket/frame-counter.ts';
import type { Exchange } from './exchange.ts';

/** Counts Server-Sent Events in a body; what it counts shows in the exchange. */
export function eventStreamReader(exchange: Exchange): PayloadReader {
  const counter = new EventStreamCounter();
  exchange.messagesFromServer = 0;
  return {
    read(bytes, from, to) {
      counter.read(bytes, from, to);
      exchange.messagesFromServer = counter.events;
    },
  };
}

/** Counts WebSocket messages (RFC 6455) from the byte behind the 101 on. */
export class WebSocketMessages {
  readonly #exchange: Exchange;
  readonly #client = new FrameCounter();
  readonly #server = new FrameCounter();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    exchange.messagesFromClient = 0;
    exchange.messagesFromServer = 0;
  }

  fromClient(bytes: Uint8Array, length: number): void {
    if (this.#client.failed) return;
    this.#client.read(bytes, 0, length);
    this.#exchange.messagesFromClient = this.#client.messages;
  }

  fromServer(bytes: Uint8Array, from: number, to: number): void {
    if (this.#server.failed) return;
    this.#server.read(bytes, from, to);
    this.#exchange.messagesFromServer = this.#server.messages;
  }
}
