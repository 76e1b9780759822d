// The second half of the way: the collector, each backend behind it, and whether the trace can be read again.
import { fetchJson } from '../demo/fetch-text.ts';
import { readTrace, type StoredSpan } from '../demo/stored-spans.ts';
import { eventually } from './eventually.ts';
import { bad, type Finding, good, open } from './findings.ts';
import { type CollectorObservation, exportersOf, failureText, growth } from './observation.ts';
import type { ProbeResult } from './probe.ts';
import type { Targets } from './targets.ts';

/** Whether the collector answers, and took spans meanwhile. */
export function judgeCollector(before: CollectorObservation, after: CollectorObservation): Finding[] {
  const hop = 'collector';
  if (after.unreachable !== '') {
    const advice = 'start `tracecar collector`, or name its metrics address with --collector HOST:PORT';
    return [bad(hop, `its metrics on ${after.metrics} cannot be read: ${after.unreachable}`, advice)];
  }
  const accepted = growth(before, after, 'otelcol_receiver_accepted_spans');
  const refused = growth(before, after, 'otelcol_receiver_refused_spans');
  if (refused > 0) return [bad(hop, `it refused ${refused} spans`, 'look into its log for the reason')];
  if (accepted > 0) return [good(hop, `it accepted ${accepted} spans meanwhile`)];
  const advice = 'see that the --otlp-endpoint of the sidecar is this collector';
  return [bad(hop, 'it runs, but no span came to it', advice)];
}

/** Whether each exporter of the collector had its spans acknowledged. */
export function judgeBackends(before: CollectorObservation, after: CollectorObservation): Finding[] {
  if (after.unreachable !== '') return [];
  return exportersOf(after).map((exporter) => {
    const hop = `backend ${exporter}`;
    const grown = (name: string) => growth(before, after, name, { exporter });
    const queued = after.samples
      .filter((sample) => sample.name === 'otelcol_exporter_queue_size' && sample.labels.exporter === exporter)
      .reduce((sum, sample) => sum + sample.value, 0);
    const sent = grown('otelcol_exporter_sent_spans');
    const failed = grown('otelcol_exporter_send_failed_spans') + grown('otelcol_exporter_enqueue_failed_spans');
    const advice = 'see that this backend runs and its URL is right; the collector tries again by itself';
    if (failed > 0) return bad(hop, `${failed} spans were given up`, advice);
    if (sent > 0) return good(hop, `acknowledged ${sent} spans meanwhile`);
    if (queued > 0) return bad(hop, `it acknowledges nothing; its queue holds ${queued} bytes`, advice);
    return open(hop, 'nothing was sent to it meanwhile');
  });
}

/** Whether the request's trace can be read from the store and from each query API given, as one tree. */
export async function judgeReaders(
  readers: Targets['readers'],
  probe: ProbeResult,
  stored: readonly StoredSpan[],
  timeoutMs: number,
): Promise<Finding[]> {
  const [store, ...others] = readers;
  const findings = [judgeStored(store!.url, probe, stored, others.length > 0)];
  for (const reader of others) {
    const hop = `trace in ${reader.kind} ${reader.url}`;
    const advice = 'give the URL under which this query API answers, and see that the collector feeds this backend';
    const outcome = await countSpans(reader, probe.traceId, timeoutMs).catch((error: unknown) => failureText(error));
    findings.push(
      typeof outcome === 'number' && outcome > 0
        ? good(hop, `${outcome} spans`)
        : bad(hop, `it cannot be read: ${outcome === 0 ? 'unknown trace' : outcome}`, advice),
    );
  }
  return findings;
}

function judgeStored(url: string, probe: ProbeResult, spans: readonly StoredSpan[], hasOthers: boolean): Finding {
  const hop = 'trace';
  // A collector may run without the store; then the backends that were named have to show the trace.
  if (spans.length === 0 && hasOthers) return open(hop, `there is none in an embedded store on ${url}`);
  if (spans.length === 0) {
    const advice = 'name the query address of the embedded store with --viewer HOST:PORT';
    return bad(hop, `trace ${probe.traceId} cannot be read from ${url}`, advice);
  }
  const ids = new Set([...spans.map((span) => span.spanId), probe.spanId]);
  const orphan = spans.find((span) => !ids.has(span.parentId));
  if (orphan !== undefined) {
    const detail = `${orphan.service} ${orphan.name} does not hang from this request: its parent is ${orphan.parentId || 'none'}`;
    return bad(hop, detail, 'see whether every hop passes its context on');
  }
  const services = new Set(spans.map((span) => span.service));
  const tops = spans.filter((span) => span.parentId === probe.spanId).length;
  const detail = `${spans.length} spans over ${[...services].join(', ')}, ${tops} directly below the request: ${url}/trace/${probe.traceId}`;
  return good(hop, detail);
}

async function countSpans(reader: Targets['readers'][number], traceId: string, timeoutMs: number): Promise<number> {
  const base = reader.url.replace(/\/$/, '').replace(/\/api\/v2\/spans$/, '');
  return eventually(timeoutMs, async () => {
    if (reader.kind === 'jaeger') return (await readTrace(base.replace(/^https?:\/\//, ''), traceId)).length;
    const page = await fetchJson(`${base}/api/v2/trace/${traceId}`);
    return Array.isArray(page) ? page.length : 0;
  });
}
