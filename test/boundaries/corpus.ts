// The corpus: HTTP/1 byte streams whose message boundaries parsers have been seen to read differently.
import { chunkFamilies } from './corpus-chunks.ts';
import { fieldFamilies } from './corpus-fields.ts';
import { framingFamilies } from './corpus-framing.ts';
import { requestLineFamilies } from './corpus-request-lines.ts';
import { streamFamilies } from './corpus-streams.ts';

/** Cases of one kind, by name: the bytes (as latin1) that stand in front of the probe. */
export interface Family {
  readonly name: string;
  /** Whether there is no doubt in its cases, or the names of those without: these are read to their end, others are not. */
  readonly sound: boolean | readonly string[];
  readonly cases: Readonly<Record<string, string>>;
}

/** What one client sends on one connection. */
export interface BoundaryCase {
  readonly family: string;
  readonly name: string;
  readonly sound: boolean;
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
  .flatMap(({ name: family, sound, cases }) =>
    Object.entries(cases).map(([name, bytes]) => ({
      family,
      name,
      sound: typeof sound === 'boolean' ? sound : sound.includes(name),
      bytes,
    })),
  )
  .map(({ bytes, ...rest }, number) => {
    const probe = `/probe-${number}`;
    return { ...rest, probe, bytes: `${bytes}GET ${probe} HTTP/1.1\r\nHost: h\r\n\r\n` };
  });
