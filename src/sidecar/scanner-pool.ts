// Lends head scanners: a connection needs one only while a head is on its way, which is mostly never.
import type { FieldNames } from '../wire/http1/field-names.ts';
import { HeadScanner } from '../wire/http1/head-scanner.ts';

export class ScannerPool {
  readonly #kind: 'request' | 'response';
  readonly #names: FieldNames;
  readonly #maxHeadBytes: number;
  readonly #free: HeadScanner[] = [];

  constructor(kind: 'request' | 'response', names: FieldNames, maxHeadBytes: number) {
    this.#kind = kind;
    this.#names = names;
    this.#maxHeadBytes = maxHeadBytes;
  }

  /** A scanner at the beginning of a head. */
  take(): HeadScanner {
    return this.#free.pop() ?? new HeadScanner(this.#kind, this.#names, this.#maxHeadBytes);
  }

  /** Takes a scanner back; it must not be used by its borrower any more. */
  give(scanner: HeadScanner): void {
    scanner.reset();
    this.#free.push(scanner);
  }
}
