// A table of header field names: finds, without making a string, which known field a line is.
import { lowerByte } from './characters.ts';

const slots = 1024;

/** Of a name's bytes: length, first, middle and last tell nearly all apart, and cost nothing per byte. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const first = lowerByte[bytes[start]!]!;
  const middle = lowerByte[bytes[start + (length >> 1)]!]!;
  const last = lowerByte[bytes[end - 1]!]!;
  return (length * 31 + first * 7 + middle * 131 + last * 17) % slots;
}

/** Known field names, each with the small number it was registered under. */
export class FieldNames {
  readonly #ids = new Int32Array(slots).fill(-1);
  readonly #names: Uint8Array[] = [];

  constructor(names: readonly string[]) {
    for (const name of names) this.add(name);
  }

  /** Registers a name (any case) and returns its number; a known name returns the number it has. */
  add(name: string): number {
    const bytes = Uint8Array.from(name.toLowerCase(), (char) => char.charCodeAt(0));
    const known = this.find(bytes, 0, bytes.length);
    if (known >= 0) return known;
    let slot = hashOf(bytes, 0, bytes.length);
    while (this.#ids[slot] !== -1) slot = (slot + 1) % slots;
    this.#ids[slot] = this.#names.length;
    return this.#names.push(bytes) - 1;
  }

  get size(): number {
    return this.#names.length;
  }

  /** The number of the name in `bytes[start..end)` (not empty, any case), or -1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    let slot = hashOf(bytes, start, end);
    for (;;) {
      const id = this.#ids[slot]!;
      if (id === -1) return -1;
      const name = this.#names[id]!;
      if (name.length === end - start && equalFolded(name, bytes, start)) return id;
      slot = (slot + 1) % slots;
    }
  }
}

function equalFolded(name: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (name[i] !== lowerByte[bytes[start + i]!]) return false;
  return true;
}
