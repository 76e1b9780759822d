// What reads along a connection: first whatever finds out what it speaks, then the one for that protocol.
import type { ResponseFlag } from './exchange.ts';
import type { Protocol } from './stats.ts';

/** What ended a connection. */
export interface ConnectionEnd {
  readonly flag: ResponseFlag;
  /** Semantic conventions' `error.type`; '' when nothing went wrong. */
  readonly errorType: string;
}

/**
 * Sees every byte of a connection in order. Client bytes go on through the observer, server bytes have gone on already.
 * No method throws: an observer's own fault makes it pass bytes unread (R5).
 */
export interface ConnectionObserver {
  /** Requests opened so far, and those still open. */
  readonly requests: number;
  readonly requestsOpen: number;
  /** The server has begun to answer a request whose body is still on its way. */
  readonly hasEarlyAnswer: boolean;
  /** Takes `chunk[0..length)` from the client, valid during this call only; each byte goes on. */
  clientData(chunk: Buffer, length: number): void;
  /** The client has closed its side. */
  clientEnded(): void;
  /** Reads `bytes[0..length)` from the server, valid during this call only. */
  serverData(bytes: Buffer, length: number): void;
  /** The server has closed its side. */
  serverEnded(): void;
  /** Called now and then: what has lasted too long, or long enough to be shown. */
  sweep(nowMs: number): void;
  /** The connection is over: what is open ends with what ended it. */
  finish(end: ConnectionEnd): void;
}

/** What an observer tells the connection it reads along. */
export interface ObserverEvents {
  /** The first bytes said what the connection speaks. */
  detected(protocol: Protocol): void;
  /** From the next bytes on, this observer reads along. */
  observe(observer: ConnectionObserver): void;
  /** Nothing has been asked for a while: what can be made again may go. */
  rested(): void;
  /** Nothing more will be read here: bytes pass unread from now on. */
  degraded(reason: string): void;
  /** `--strict`: nothing more goes to the server; the client is answered once what was asked before is. */
  refused(reason: string): void;
  /** The client is answered with this status, and the connection ends. */
  answerRefusal(status: number): void;
  /** Ends the connection at once. */
  destroy(): void;
  /** An exception of ours was caught. */
  faulted(error: unknown): void;
}
