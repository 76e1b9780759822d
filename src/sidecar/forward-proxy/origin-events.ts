// What the connection to an origin and the client's connection know of each other.
import type { Protocol } from '../stats.ts';
import type { Origin } from './origin.ts';

/** What is known of the client whose requests these are. */
export interface ProxyClient {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly internal: boolean;
  /** Whether one more span may be made of it now (R11). */
  admitsSpan(nowMs: number): boolean;
}

export interface OriginOptions {
  /** What passes may be anything. */
  readonly tunnel: boolean;
  readonly connectTimeoutMs: number;
  readonly maxHeadBytes: number;
}

/** What the origin's connection tells the client's. */
export interface OriginEvents {
  /** Decides whether the connection may be used; it is closed when not. */
  connected(origin: Origin): boolean;
  /** `reason` as `connectFailure` gives it. */
  connectFailed(origin: Origin, reason: string): void;
  /** Bytes for the client; false when it takes less than comes. */
  toClient(data: string | Buffer): boolean;
  /** A chunk has been read, so answers may be complete; or there is room again, or no use for it. */
  progressed(): void;
  /** Bytes came that nobody asked for; they have been dropped. */
  unsolicited(): void;
  /** The origin has closed its side. */
  ended(): void;
  /** `broken`: not by both sides' ends. */
  closed(broken: boolean, reset: boolean): void;
  detected(protocol: Protocol): void;
  degraded(reason: string): void;
  refused(reason: string): void;
  answerRefusal(status: number): void;
  destroy(): void;
  /** An observer's fault, which it has contained. */
  faulted(error: unknown): void;
  /** A fault of the proxy itself: the connection ends. */
  failed(error: unknown): void;
}
