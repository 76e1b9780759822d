// Validates an ExportTraceServiceRequest without decoding it, and cuts out what a strict decoder would refuse.
import { countSpans } from './count.ts';
import { applyEdits, type Edit } from './edit.ts';
import { requestTag, resourceSpansTag, scopeSpansTag } from './fields.ts';
import { walkResource, walkScope, walkSpan } from './walk-span.ts';
import { Walker } from './walker.ts';

export interface Walked {
  readonly kind: 'walked';
  /** What may be stored and sent on: the bytes given, themselves, when there was nothing to change. */
  readonly bytes: Uint8Array;
  readonly acceptedSpans: number;
  readonly rejectedSpans: number;
  /** What was wrong with the first rejected span, or a warning when none was rejected; '' when all was well. */
  readonly reason: string;
}

export interface Malformed {
  readonly kind: 'malformed';
  readonly reason: string;
}

/**
 * Walks a request to the end of every span: wire types (no groups), lengths, varints, id sizes, UTF-8, nesting.
 *
 * A bad span is cut out alone, with the lengths around it rewritten; everything else, unknown fields included, stays
 * byte for byte. A bad resource or scope costs the spans under it. Where a ResourceSpans or ScopeSpans itself breaks
 * off, the spans before the break stay and the rest counts as one. `instrumentation_library_spans` (field 1000) become
 * scope_spans; beside scope_spans they are a copy for old receivers and left out.
 *
 * Bytes whose outermost fields do not hold (a truncated request) are malformed as a whole. Never throws.
 */
export function walk(bytes: Uint8Array): Walked | Malformed {
  return new RequestWalk(bytes).run();
}

/** What a bad part takes back: the counts and edits as they were before it. */
interface Mark {
  readonly start: number;
  readonly content: number;
  readonly end: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly edits: number;
}

class RequestWalk {
  private readonly walker: Walker;
  private readonly edits: Edit[] = [];
  private accepted = 0;
  private rejected = 0;
  private reason = '';

  constructor(bytes: Uint8Array) {
    this.walker = new Walker(bytes);
  }

  run(): Walked | Malformed {
    const { walker } = this;
    const end = walker.bytes.byteLength;
    while (walker.position < end) {
      const start = walker.position;
      const tag = walker.tag(end);
      if (tag === requestTag.resourceSpans) {
        const stop = walker.fieldEnd(end);
        if (stop < 0) return this.malformed(start);
        this.resourceSpans(start, stop);
      } else if (tag < 0 || !(tag >>> 3 > 1 ? walker.skip(tag, end) : walker.wrongType(tag))) {
        return this.malformed(start);
      }
    }
    return {
      kind: 'walked',
      bytes: this.edits.length === 0 ? walker.bytes : applyEdits(walker.bytes, this.edits),
      acceptedSpans: this.accepted,
      rejectedSpans: this.rejected,
      reason: this.reason,
    };
  }

  private malformed(position: number): Malformed {
    return { kind: 'malformed', reason: `not an ExportTraceServiceRequest: ${this.walker.fault} at byte ${position}` };
  }

  private resourceSpans(start: number, end: number): void {
    const { walker } = this;
    const mark = this.mark(start, end);
    let scopes = 0;
    let libraries = 0;
    let acceptedInLibraries = 0;
    while (walker.position < end) {
      const fieldStart = walker.position;
      const tag = walker.tag(end);
      if (tag === resourceSpansTag.scopeSpans || tag === resourceSpansTag.instrumentationLibrarySpans) {
        const stop = walker.fieldEnd(end);
        if (stop < 0) {
          this.cutRest(fieldStart, end, 'a resource');
          break;
        }
        if (tag === resourceSpansTag.scopeSpans) scopes++;
        else libraries = this.edits.push({ kind: 'toScopeSpans', start: fieldStart, end: stop });
        const acceptedBefore = this.accepted;
        this.scopeSpans(fieldStart, stop);
        if (tag !== resourceSpansTag.scopeSpans) acceptedInLibraries += this.accepted - acceptedBefore;
      } else if (tag === resourceSpansTag.resource || tag === resourceSpansTag.schemaUrl) {
        if (!this.header(tag, end, walkResource)) {
          this.rejectWhole(mark, 'a resource', 1);
          return;
        }
      } else if (tag < 0 || !this.unknownField(tag, end, 1)) {
        this.cutRest(fieldStart, end, 'a resource');
        break;
      }
    }
    walker.position = end;
    if (scopes > 0 && libraries > 0) this.leaveOutLibraries(mark, acceptedInLibraries);
  }

  private scopeSpans(start: number, end: number): void {
    const { walker } = this;
    const mark = this.mark(start, end);
    while (walker.position < end) {
      const fieldStart = walker.position;
      const tag = walker.tag(end);
      if (tag === scopeSpansTag.spans) {
        const stop = walker.fieldEnd(end);
        if (stop < 0) {
          this.cutRest(fieldStart, end, 'a scope');
          break;
        }
        this.span(fieldStart, stop);
      } else if (tag === scopeSpansTag.scope || tag === scopeSpansTag.schemaUrl) {
        if (!this.header(tag, end, walkScope)) {
          this.rejectWhole(mark, 'a scope', 2);
          return;
        }
      } else if (tag < 0 || !this.unknownField(tag, end, 2)) {
        this.cutRest(fieldStart, end, 'a scope');
        break;
      }
    }
    walker.position = end;
  }

  private span(start: number, end: number): void {
    if (walkSpan(this.walker, end)) {
      this.accepted++;
      return;
    }
    this.walker.position = end;
    this.edits.push({ kind: 'cut', start, end });
    this.reject(1, `span ${this.accepted + this.rejected + 1}`);
  }

  /** The resource or scope (field 1) or the schema URL (field 3) of a group of spans. */
  private header(tag: number, end: number, walkMessage: (walker: Walker, end: number) => boolean): boolean {
    if (tag >>> 3 === 3) return this.walker.string(end);
    const stop = this.walker.fieldEnd(end);
    return stop >= 0 && walkMessage(this.walker, stop);
  }

  private unknownField(tag: number, end: number, depth: number): boolean {
    const field = tag >>> 3;
    const isKnown = field <= 3 || (field === 1000 && depth === 1);
    return isKnown ? this.walker.wrongType(tag) : this.walker.skip(tag, end);
  }

  private mark(start: number, end: number): Mark {
    const { accepted, rejected, edits, walker } = this;
    return { start, content: walker.position, end, accepted, rejected, edits: edits.length };
  }

  /** Notes a bad part; `spans` is how many it costs. */
  private reject(spans: number, what: string): void {
    if (this.reason === '') this.reason = `${what}: ${this.walker.fault}`;
    this.rejected += spans;
  }

  private cutRest(start: number, end: number, what: string): void {
    this.edits.push({ kind: 'cut', start, end });
    this.reject(1, `${what} that breaks off`);
  }

  /** A bad resource or scope: its spans are refused with it, also those behind the fault that were not walked. */
  private rejectWhole(mark: Mark, what: string, depth: 1 | 2): void {
    const walked = this.accepted - mark.accepted + this.rejected - mark.rejected;
    const spans = Math.max(walked, countSpans(this.walker.bytes, mark.content, mark.end, depth));
    this.accepted = mark.accepted;
    this.rejected = mark.rejected;
    this.edits.length = mark.edits;
    this.edits.push({ kind: 'cut', start: mark.start, end: mark.end });
    this.reject(spans, what);
    this.walker.position = mark.end;
  }

  private leaveOutLibraries(mark: Mark, spans: number): void {
    const kept: Edit[] = [];
    let inside = -1;
    for (const edit of this.edits.splice(mark.edits)) {
      if (edit.start < inside) continue;
      if (edit.kind === 'toScopeSpans') {
        inside = edit.end;
        kept.push({ kind: 'cut', start: edit.start, end: edit.end });
      } else kept.push(edit);
    }
    for (const edit of kept) this.edits.push(edit);
    this.accepted -= spans;
    if (this.reason === '') this.reason = 'instrumentation_library_spans beside scope_spans were left out';
  }
}
