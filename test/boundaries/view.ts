// What one reader sees in a byte stream: the common tongue of Tracecar and the oracles.

/** One request as a reader saw it. */
export interface SeenRequest {
  readonly method: string;
  /** As it came, but for absolute-form, which is cut down to its path: proxies do so themselves. */
  readonly target: string;
  /** latin1, without chunk framing. */
  readonly body: string;
  /** The body came to its end. */
  readonly complete: boolean;
  /** The values of `traceparent` in its head. */
  readonly traceparents: readonly string[];
  /** latin1 text that is in no head and no body: trailers, or bytes behind the message. */
  readonly elsewhere: string;
}

export interface View {
  readonly requests: readonly SeenRequest[];
  /** The reader refused what followed the last request, or the rest of its body. */
  readonly refused: boolean;
  /** The reader closed the connection and did not read on. */
  readonly closed: boolean;
}

export interface Oracle {
  readonly name: string;
  /** Sends the bytes (latin1) on one new connection; `patient` takes longer to find that nothing more happens. */
  see(bytes: string, patient?: boolean): Promise<View>;
}

/** The path of an absolute-form target (RFC 9112 section 3.2.2), any other target as it is. */
export function pathOf(target: string): string {
  const authority = /^[a-z]+:\/\/[^/?#]*/i.exec(target);
  if (authority === null) return target;
  const path = target.slice(authority[0].length);
  return path.startsWith('/') ? path : `/${path}`;
}
