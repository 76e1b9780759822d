// What became of one attempt to deliver a request: the closed union every transport returns and every queue reads.

export type ExportOutcome =
  /** Taken. `response` is the peer's answer body (an OTLP partial success may be in it). */
  | { readonly kind: 'accepted'; readonly response: Uint8Array }
  /** Not now: try the same bytes again, not before `delayMs` when the peer named a delay. */
  | { readonly kind: 'retry'; readonly reason: string; readonly delayMs?: number }
  /** Never: the same bytes would fail again. `splittable` when a part of them may still be good (400, INVALID_ARGUMENT). */
  | { readonly kind: 'rejected'; readonly reason: string; readonly splittable: boolean };

/** Delivers one encoded request. Never rejects: every failure is an outcome. */
export interface Transport {
  send(body: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<ExportOutcome>;
  close(): void;
}
