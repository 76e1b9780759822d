// Which spans a Jaeger search means: every condition must hold on one and the same span, as in Jaeger's own stores.
import { findTraces } from './find-traces.ts';
import { type DecodedSpan, decodeSpans, durationNano, type IndexedSpan } from './indexed-span.ts';
import { kindName, processTags, spanLogs, spanTags, type Tag, toTag } from './jaeger-json.ts';
import type { StoredTrace, TraceStore } from './trace-store.ts';

export interface JaegerQuery {
  /** Undefined: every service. */
  readonly service: string | undefined;
  readonly operation: string | undefined;
  /** `server`, `client`, ...; undefined: any. */
  readonly spanKind: string | undefined;
  /** Each must equal a tag of the span, its resource, its scope, or a field of one of its logs; values as text. */
  readonly tags: ReadonlyMap<string, string>;
  readonly startTimeMinNano: bigint;
  readonly startTimeMaxNano: bigint;
  readonly durationMinNano: bigint | undefined;
  readonly durationMaxNano: bigint | undefined;
  readonly limit: number;
}

/** The traces with at least one span that meets the whole query; newest start first. */
export function searchTraces(store: TraceStore, query: JaegerQuery): Promise<StoredTrace[]> {
  return findTraces(store, query.limit, (trace) => {
    const candidates: IndexedSpan[] = [];
    for (const span of trace.spans) {
      if (!matchesIndex(span, query)) continue;
      if (query.tags.size === 0) return true;
      candidates.push(span);
    }
    // Tags are only in the encoded bytes: decode no more spans than are left.
    return candidates.length > 0 && decodeSpans(candidates).some((span) => hasTags(span, query.tags));
  });
}

function matchesIndex(span: IndexedSpan, query: JaegerQuery): boolean {
  if (query.service !== undefined && span.group.service !== query.service) return false;
  if (query.operation !== undefined && span.name !== query.operation) return false;
  if (query.spanKind !== undefined && kindName(span.kind) !== query.spanKind) return false;
  if (span.startTimeUnixNano < query.startTimeMinNano || span.startTimeUnixNano > query.startTimeMaxNano) return false;
  const duration = durationNano(span);
  if (query.durationMinNano !== undefined && duration < query.durationMinNano) return false;
  return query.durationMaxNano === undefined || duration <= query.durationMaxNano;
}

function hasTags(decoded: DecodedSpan, wanted: ReadonlyMap<string, string>): boolean {
  const known = new Map<string, Set<string>>();
  const add = (tag: Tag) => {
    const values = known.get(tag.key) ?? new Set();
    known.set(tag.key, values.add(String(tag.value)));
  };
  spanTags(decoded).forEach(add);
  processTags(decoded.resource).forEach(add);
  decoded.scope.attributes.map(toTag).forEach(add);
  for (const log of spanLogs(decoded.span)) log.fields.forEach(add);
  return [...wanted].every(([key, value]) => known.get(key)?.has(value) ?? false);
}
