// A table of header field names: finds by hash, without making a string, which known field a line is.
import { lowerByte } from './characters.ts';

const slots = 1024;

/** The hash the scanner computes byte by byte over the lower-cased name. */
export function hashByte(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) | 0;
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
    let hash = 0;
    for (const byte of bytes) hash = hashByte(hash, byte);
    const known = this.find(hash, bytes, 0, bytes.length);
    if (known >= 0) return known;
    let slot = (hash >>> 0) % slots;
    while (this.#ids[slot] !== -1) slot = (slot + 1) % slots;
    this.#ids[slot] = this.#names.length;
    return this.#names.push(bytes) - 1;
  }

  get size(): number {
    return this.#names.length;
  }

  /** The number of the name in `bytes[start..end)`, or -1. `hash` is that of its lower-cased bytes. */
  find(hash: number, bytes: Uint8Array, start: number, end: number): number {
    let slot = (hash >>> 0) % slots;
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
