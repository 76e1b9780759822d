// Settles what several header formats said into one incoming context (R15).
import type { ParsedContext } from './context.ts';

export type ConflictKind = 'trace_id' | 'span_id' | 'sampled';

export interface ResolvedContext {
  readonly context: ParsedContext;
  readonly conflict: ConflictKind | undefined;
}

/**
 * Chooses the parent from the valid contexts of one request, given in the order of precedence tracecontext, b3,
 * b3multi, jaeger, ottrace. Same trace (low 64 bits where one has 64): the parent is the id this sidecar did *not*
 * inject inbound, for an application that makes spans of its own and also copies headers sends both; else the order.
 * Different traces: the order. A flag without ids decides only where no ids are.
 * @param wasInjected whether this sidecar gave that span id to the application
 */
export function resolveContext(
  found: readonly ParsedContext[],
  wasInjected: (spanId: string) => boolean,
): ResolvedContext | undefined {
  const withIds = found.filter((candidate) => candidate.traceId !== '');
  const first = withIds[0];
  if (first === undefined) return found[0] && { context: found[0], conflict: undefined };
  let chosen = first;
  let conflict: ConflictKind | undefined;
  for (const other of withIds) {
    if (other === first) continue;
    if (!sameTrace(first, other)) {
      conflict = 'trace_id';
      continue;
    }
    if (other.spanId === chosen.spanId) continue;
    conflict ??= 'span_id';
    if (wasInjected(chosen.spanId) && !wasInjected(other.spanId)) chosen = other;
  }
  const peers = withIds.filter((candidate) => sameTrace(chosen, candidate));
  const widest = peers.find((candidate) => !candidate.traceId64) ?? chosen;
  const sampled = chosen.sampled ?? found.find((candidate) => candidate.sampled !== undefined)?.sampled;
  if (peers.some((candidate) => candidate.sampled !== undefined && candidate.sampled !== sampled))
    conflict ??= 'sampled';
  const debug = sampled === true && peers.some((candidate) => candidate.debug);
  const randomFlag = peers.some((candidate) => candidate.randomFlag);
  const { traceId, traceId64 } = widest;
  return { context: { traceId, spanId: chosen.spanId, sampled, debug, traceId64, randomFlag }, conflict };
}

function sameTrace(a: ParsedContext, b: ParsedContext): boolean {
  if (a.traceId === b.traceId) return true;
  return (a.traceId64 || b.traceId64) && a.traceId.slice(16) === b.traceId.slice(16);
}
