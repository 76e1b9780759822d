// What the sidecar does with any connection it holds, whichever way that came.
import type { Direction } from './config.ts';
import type { Protocol } from './stats.ts';

export interface OpenConnection {
  readonly protocol: Protocol;
  describe(): ConnectionDescription;
  /** Called now and then: what has lasted too long ends, what goes on is shown. */
  sweep(nowMs: number): void;
  /** Ends it at once. */
  destroy(): void;
}

/** The open connections of a sidecar. */
export type Connections = Set<OpenConnection>;

/** One entry of `/connections`. */
export interface ConnectionDescription {
  readonly id: number;
  readonly direction: Direction;
  readonly protocol: Protocol;
  readonly client: string;
  readonly target: string;
  readonly age_ms: number;
  readonly bytes_from_client: number;
  readonly bytes_from_server: number;
  readonly requests: number;
  readonly requests_open: number;
  readonly degraded: string | null;
}
