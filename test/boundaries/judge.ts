// Compares what Tracecar saw with what an oracle saw in the same bytes.
import type { TracecarRequest, TracecarView } from './tracecar-view.ts';
import type { SeenRequest, View } from './view.ts';

const show = ({ method, target }: { readonly method: string; readonly target: string }) =>
  `${method} ${target.length > 60 ? `${target.slice(0, 60)}…` : target}`;

/** Whether the oracle ended the connection instead of reading on. */
export const turnedAway = ({ refused, closed }: View): boolean => refused || closed;

/**
 * Where Tracecar's boundaries differ from an oracle's. As long as Tracecar claims a boundary, an oracle that has
 * accepted the stream so far must have it too; where it has gone opaque it claims none. So two oracles that differ
 * from each other must find Tracecar opaque, or one of them differs from Tracecar.
 */
export function boundaryFaults(tracecar: TracecarView, oracle: View): string[] {
  const ended = turnedAway(oracle);
  for (const [i, ours] of tracecar.requests.entries()) {
    const theirs = oracle.requests[i];
    const isLast = i === tracecar.requests.length - 1;
    if (theirs === undefined) {
      return ended ? [] : [`request ${i} (${show(ours)}) is not one for the oracle`];
    }
    const fault = requestFault(ours, theirs, isLast && tracecar.opaque !== '', ended);
    if (fault !== undefined) return [`request ${i} (${show(ours)}): ${fault}`];
    if (!theirs.complete) return [];
  }
  const next = oracle.requests[tracecar.requests.length];
  const last = tracecar.requests.at(-1);
  const readsOn = tracecar.opaque === '' && (tracecar.awaitsHead || last?.complete === false);
  return readsOn && next !== undefined ? [`the oracle goes on with ${show(next)}`] : [];
}

function requestFault(ours: TracecarRequest, theirs: SeenRequest, gaveUp: boolean, ended: boolean): string | undefined {
  if (ours.method !== theirs.method || ours.target !== theirs.target) return `the oracle has ${show(theirs)}`;
  if (ours.complete && !theirs.complete) {
    return ended ? undefined : `its body ends after ${ours.bodyBytes} bytes, the oracle reads on`;
  }
  if (!ours.complete) {
    return theirs.complete && !gaveUp ? `its body goes on, the oracle's ends after ${theirs.body.length}` : undefined;
  }
  return ours.bodyBytes === theirs.body.length ? undefined : `body of ${ours.bodyBytes}, ${theirs.body.length} bytes`;
}

const traceLine = /traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-/;

/**
 * What inserting did to an oracle: `through` is what it sees in the bytes as Tracecar forwards them, `direct` what it
 * sees in the bytes as they came. Each inserted line must be in the head of its own request, and nothing else differ.
 * A line inserted where the oracle sees a body, a trailer, or another request's head shows as one of these.
 */
export function insertionFaults(tracecar: TracecarView, direct: View, through: View): string[] {
  const faults: string[] = [];
  if (direct.refused !== through.refused)
    faults.push(`refused: ${direct.refused} directly, ${through.refused} through`);
  if (direct.requests.length !== through.requests.length) {
    faults.push(`${direct.requests.length} requests directly, ${through.requests.length} through`);
  }
  for (const [i, seen] of through.requests.entries()) {
    const before = direct.requests[i];
    const inserted = tracecar.requests[i]?.traceparent;
    const expected = inserted === undefined ? [] : [inserted];
    if (seen.traceparents.join() !== expected.join()) {
      faults.push(`request ${i}: traceparent [${seen.traceparents}] in its head, inserted [${expected}]`);
    }
    if (traceLine.test(seen.body)) faults.push(`request ${i}: an inserted line is in its body`);
    if (traceLine.test(seen.elsewhere)) faults.push(`request ${i}: an inserted line is behind its body`);
    if (before === undefined) continue;
    const same = before.method === seen.method && before.target === seen.target && before.body === seen.body;
    if (!same || before.complete !== seen.complete) faults.push(`request ${i}: ${show(before)} directly, else through`);
  }
  return faults;
}
