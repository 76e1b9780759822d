// What the collector holds of a running receiver.
import type { Address } from '../../runtime/address.ts';

export interface Receiver {
  /** Where it really listens. */
  readonly address: Address;
  /** Takes no new requests, lets running ones finish for `graceMs`, then cuts them. */
  stop(graceMs: number): Promise<void>;
}
