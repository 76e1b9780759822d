// Applies cuts to an encoded request: copies everything else as it is and rewrites the lengths around each cut.
import { ProtobufReader } from '../../wire/protobuf-reader.ts';
import { ProtobufWriter } from '../../wire/protobuf-writer.ts';

/** A field, from its tag to its end, and what becomes of it. Edits are in the order of their starts, outer ones first. */
export interface Edit {
  /** `toScopeSpans`: the field keeps its content and becomes field 2, scope_spans. */
  readonly kind: 'cut' | 'toScopeSpans';
  readonly start: number;
  readonly end: number;
}

/** The request with the edits applied; every edited field lies at the level of resources, scopes or spans. */
export function applyEdits(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  const writer = new ProtobufWriter(bytes.byteLength + 64);
  new Editor(bytes, edits, writer).copyFields();
  return writer.take();
}

class Editor {
  private readonly reader: ProtobufReader;
  private readonly edits: readonly Edit[];
  private readonly writer: ProtobufWriter;
  private next = 0;

  constructor(bytes: Uint8Array, edits: readonly Edit[], writer: ProtobufWriter) {
    this.reader = new ProtobufReader(bytes);
    this.edits = edits;
    this.writer = writer;
  }

  /** Copies the fields of the message the reader is in; stretches without an edit go over in one piece. */
  copyFields(): void {
    const { reader } = this;
    let untouchedFrom = reader.position;
    while (!reader.done) {
      const start = reader.position;
      const edit = this.takeEditAt(start);
      if (edit?.kind === 'cut') {
        this.copy(untouchedFrom, start);
        reader.position = edit.end;
        untouchedFrom = edit.end;
        continue;
      }
      const tag = reader.tag();
      const content = reader.position;
      reader.skip(tag);
      if (edit === undefined && (this.edits[this.next]?.start ?? Number.POSITIVE_INFINITY) >= reader.position) continue;
      reader.position = content;
      this.copy(untouchedFrom, start);
      this.copyNested(edit === undefined ? tag >>> 3 : 2);
      untouchedFrom = reader.position;
    }
    this.copy(untouchedFrom, reader.position);
  }

  private copyNested(field: number): void {
    const outer = this.reader.enter();
    const mark = this.writer.begin(field);
    this.copyFields();
    this.writer.finish(mark);
    this.reader.leave(outer);
  }

  /** A field may have two edits, to become scope_spans and to be cut: the last one stands. */
  private takeEditAt(start: number): Edit | undefined {
    let found: Edit | undefined;
    while (this.edits[this.next]?.start === start) found = this.edits[this.next++];
    return found;
  }

  private copy(from: number, to: number): void {
    if (to > from) this.writer.raw(this.reader.buffer.subarray(from, to));
  }
}
