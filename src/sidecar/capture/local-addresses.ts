// Which addresses are this machine's: asked seldom, answered from a list that is at most a second old.
import { networkInterfaces } from 'node:os';

const lifetimeMs = 1_000;

export class LocalAddresses {
  readonly #read: typeof networkInterfaces;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #hosts = new Set<string>();
  #names = new Map<number, string>();

  constructor(read = networkInterfaces) {
    this.#read = read;
  }

  has(host: string): boolean {
    if (host.startsWith('127.') || host === '::1') return true;
    this.#refresh();
    return this.#hosts.has(host);
  }

  /** `%eth0` for the interface of a link-local address; '' when it has none. */
  zone(scope: number): string {
    if (scope === 0) return '';
    this.#refresh();
    const name = this.#names.get(scope);
    return name === undefined ? '' : `%${name}`;
  }

  #refresh(): void {
    const now = performance.now();
    if (now - this.#readAtMs < lifetimeMs) return;
    this.#readAtMs = now;
    this.#hosts = new Set();
    this.#names = new Map();
    for (const [name, addresses = []] of Object.entries(this.#read())) {
      for (const address of addresses) {
        this.#hosts.add(address.address);
        if (address.family === 'IPv6' && address.scopeid !== 0) this.#names.set(address.scopeid, name);
      }
    }
  }
}
