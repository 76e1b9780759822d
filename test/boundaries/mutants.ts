// Cases made of others: joined, and with single bytes changed, the same for the same seed.
import type { Random } from '../support/random-exchanges.ts';
import { type BoundaryCase, corpus } from './corpus.ts';

/** Bytes that mean something to a parser of HTTP/1. */
const meaningful = '\r\n\0\t :;,"\x0b\x85\xa0x03a+-_/HGT';
/** Longer streams cost more than they tell. */
const maxBytes = 3000;

const small = corpus.filter(({ bytes }) => bytes.length < maxBytes);

function changed(random: Random, text: string): string {
  const at = random(text.length);
  const byte = meaningful[random(meaningful.length)]!;
  switch (random(4)) {
    case 0:
      return text.slice(0, at) + byte + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1);
    case 2:
      return text.slice(0, at) + byte + text.slice(at + 1);
    default:
      return `${text.slice(0, at)}\r\n${text.slice(at)}`;
  }
}

/** `count` cases of one or two of the corpus, all but the probe changed in up to three places. */
export function mutants(random: Random, count: number): BoundaryCase[] {
  return Array.from({ length: count }, (_, number) => {
    const parts = Array.from({ length: 1 + random(2) }, () => small[random(small.length)]!);
    let front = parts.map(({ bytes, probe }) => bytes.slice(0, bytes.indexOf(`GET ${probe} `))).join('');
    for (let changes = random(4); changes > 0 && front !== ''; changes--) front = changed(random, front);
    const probe = `/probe-${corpus.length + number}`;
    const name = `${number}: ${parts.map((part) => `${part.family}, ${part.name}`).join(' + ')}`;
    return {
      family: 'mutants',
      name,
      sound: false,
      probe,
      bytes: `${front}GET ${probe} HTTP/1.1\r\nHost: h\r\n\r\n`,
    };
  });
}
