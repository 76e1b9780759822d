// Counts the spans of a request by its three outer levels, without looking into any span.
import { requestTag, resourceSpansTag, scopeSpansTag } from './fields.ts';
import { Walker } from './walker.ts';

/** Where counting starts: the content of a request (0), of a ResourceSpans (1) or of a ScopeSpans (2). */
export type CountLevel = 0 | 1 | 2;

/**
 * The number of spans between two positions. Never throws: what cannot be read ends the count of its own message.
 */
export function countSpans(bytes: Uint8Array, start = 0, end = bytes.byteLength, level: CountLevel = 0): number {
  const walker = new Walker(bytes);
  walker.position = start;
  return count(walker, end, level);
}

function count(walker: Walker, end: number, level: CountLevel): number {
  let spans = 0;
  while (walker.position < end) {
    const tag = walker.tag(end);
    if (tag < 0) break;
    if (!isInner(tag, level)) {
      if (!walker.skip(tag, end)) break;
      continue;
    }
    const stop = walker.fieldEnd(end);
    if (stop < 0) break;
    spans += level === 2 ? 1 : count(walker, stop, level === 0 ? 1 : 2);
    walker.position = stop;
  }
  return spans;
}

function isInner(tag: number, level: CountLevel): boolean {
  if (level === 0) return tag === requestTag.resourceSpans;
  if (level === 2) return tag === scopeSpansTag.spans;
  return tag === resourceSpansTag.scopeSpans || tag === resourceSpansTag.instrumentationLibrarySpans;
}
