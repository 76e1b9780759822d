// The corpus: HTTP/1 byte streams whose message boundaries parsers have been seen to read differently.
import { chunkFamilies } from './corpus-chunks.ts';
import { fieldFamilies } from './corpus-fields.ts';
import { framingFamilies } from './corpus-framing.ts';
import { requestLineFamilies } from './corpus-request-lines.ts';
import { streamFamilies } from './corpus-streams.ts';

/** Cases of one kind, by name: the bytes (as latin1) that stand in front of the probe. */
export interface Family {
  readonly name: string;
  /** Every case is a run of sound messages: Tracecar must read on to the probe, or to where the connection ends. */
  readonly legal: boolean;
  readonly cases: Readonly<Record<string, string>>;
}

/** What one client sends on one connection. */
export interface BoundaryCase {
  readonly family: string;
  readonly name: string;
  readonly legal: boolean;
  /** The target of the last request, found nowhere else. */
  readonly probe: string;
  /** latin1, the probe included. */
  readonly bytes: string;
}

const families: readonly Family[] = [
  ...requestLineFamilies,
  ...fieldFamilies,
  ...framingFamilies,
  ...chunkFamilies,
  ...streamFamilies,
];

/** Every case ends with a legal request of its own target, so that it shows where the messages before it ended. */
export const corpus: readonly BoundaryCase[] = families
  .flatMap(({ name: family, legal, cases }) =>
    Object.entries(cases).map(([name, bytes]) => ({ family, name, legal, bytes })),
  )
  .map(({ bytes, ...rest }, number) => {
    const probe = `/probe-${number}`;
    return { ...rest, probe, bytes: `${bytes}GET ${probe} HTTP/1.1\r\nHost: h\r\n\r\n` };
  });
