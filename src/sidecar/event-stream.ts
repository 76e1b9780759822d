// Counts Server-Sent Events in a response body as it passes.
import type { PayloadReader } from '../wire/http1/body-reader.ts';
import { EventStreamCounter } from '../wire/http1/event-stream-counter.ts';
import type { Exchange } from './exchange.ts';

/** A reader for the body's payload; what it counts shows in the exchange. */
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
