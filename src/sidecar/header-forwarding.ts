// The verdict: does this workload pass trace headers on from the requests it gets to the calls it makes, and which ones.
import { formatOrder } from '../trace/context.ts';

/** Ids are remembered in two generations of this many, so memory is bounded and no timer is needed. */
const generation = 4096;

export type Verdict = 'unknown' | 'yes' | 'partly' | 'no';

/** What is watched on an outgoing call, beside the formats: the request id. */
const watched = [...formatOrder, 'x-request-id'] as const;
const requestIdBit = 1 << (watched.length - 1);

export interface ForwardingReport {
  readonly verdict: Verdict;
  /** Share of the outgoing calls made while a request was being served that carried its context on. */
  readonly share: number | undefined;
  readonly calls: number;
  readonly forwarded: number;
  /** Calls that carried a context of the application's own making. */
  readonly ownContext: number;
  /** For each header family given to the application: how many of the forwarding calls carried it. */
  readonly headers: Readonly<Record<string, number>>;
}

/** Compares what was given to the application with what its outgoing calls carry. */
export class HeaderForwarding {
  #current = new Set<string>();
  #previous = new Set<string>();
  /** Inbound requests being served right now. */
  inFlight = 0;
  #without = 0;
  #forwarded = 0;
  #ownContext = 0;
  /** Families given to the application at least once, as bits. */
  #given = 0;
  readonly #carried = new Array<number>(watched.length).fill(0);
  /** Nobody looks unless there are outgoing calls to compare with. */
  readonly enabled: boolean;

  constructor(enabled: boolean) {
    this.enabled = enabled;
  }

  /** Remembers a span id that went to the application, in which families. */
  gave(spanId: string, formats: number): void {
    if (!this.enabled) return;
    this.#given |= formats | requestIdBit;
    this.#current.add(spanId);
    if (this.#current.size < generation) return;
    this.#previous = this.#current;
    this.#current = new Set();
  }

  /** Whether this sidecar gave that span id to the application (R15). */
  readonly wasInjected = (spanId: string): boolean => this.#current.has(spanId) || this.#previous.has(spanId);

  /** Takes note of an outgoing call: the parent it names, if any, and the families it carries. */
  sawCall(parentSpanId: string, formats: number, hasRequestId: boolean): void {
    if (!this.enabled) return;
    if (parentSpanId === '') {
      // A call outside any request has nothing to pass on.
      if (this.inFlight > 0) this.#without++;
      return;
    }
    if (!this.wasInjected(parentSpanId)) {
      this.#ownContext++;
      return;
    }
    this.#forwarded++;
    const bits = formats | (hasRequestId ? requestIdBit : 0);
    for (let i = 0; i < watched.length; i++) if ((bits & (1 << i)) !== 0) this.#carried[i]!++;
  }

  /** The verdict so far: `partly` when some calls, or some header families, do not carry the context on. */
  report(): ForwardingReport {
    const calls = this.#forwarded + this.#without;
    const headers: Record<string, number> = {};
    let familyMissing = false;
    for (const [i, name] of watched.entries()) {
      if ((this.#given & (1 << i)) === 0) continue;
      headers[name] = this.#carried[i]!;
      if (this.#carried[i]! < this.#forwarded) familyMissing = true;
    }
    const share = calls === 0 ? undefined : this.#forwarded / calls;
    const verdict =
      share === undefined ? 'unknown' : share === 0 ? 'no' : share === 1 && !familyMissing ? 'yes' : 'partly';
    return { verdict, share, calls, forwarded: this.#forwarded, ownContext: this.#ownContext, headers };
  }
}
