// The examination in the order a request and its spans travel: each hop's finding, as far as one can see.
import { setTimeout as sleep } from 'node:timers/promises';
import { readTrace, readTracesOf, type StoredSpan } from '../demo/stored-spans.ts';
import { examineCapture } from './capture/examine-capture.ts';
import { type Machine, thisMachine } from './capture/namespace.ts';
import { judgeBackends, judgeCollector, judgeReaders } from './delivery.ts';
import { bad, type Finding, good, open } from './findings.ts';
import {
  type CollectorObservation,
  grownLabels,
  growth,
  observeCollector,
  observeSidecar,
  type SidecarObservation,
} from './observation.ts';
import { type ProbeResult, sendProbe, speaksTls } from './probe.ts';
import type { Targets } from './targets.ts';

const pollMs = 100;
/** Traces of each service that are looked through for what was spoken. */
const maxTraces = 50;
/** What was spoken before may have been mended since. */
const recentMs = 5 * 60_000;

interface Observed {
  readonly sidecars: readonly SidecarObservation[];
  readonly collector: CollectorObservation;
}

/** Examines an installation; resolves with the findings, the first fault being the first `bad` one. */
export async function examine(targets: Targets, timeoutMs: number, machine: Machine = thisMachine): Promise<Finding[]> {
  const before = await observe(targets);
  const readiness = before.sidecars.map(judgeReadiness);
  if (readiness.every((finding) => finding.verdict === 'bad')) return readiness;
  const captures = (now: Observed) =>
    examineCapture(now.sidecars, targets.via, machine, (service) => latestSpans(targets, service));
  if (targets.via === undefined) return [...readiness, judgeNoRequest(before), ...(await captures(before))];
  const probe = await sendProbe(targets.via, timeoutMs);
  const isAnswered = probe.failure === '' || probe.failure === 'ECONNREFUSED';
  const isTls = !isAnswered && (await speaksTls(targets.via, timeoutMs));
  const requestFinding = judgeRequest(probe, targets.via, isTls);
  const settled = await awaitDelivery(targets, before, probe, timeoutMs);
  const { after, spans } = settled;
  return [
    ...readiness,
    requestFinding,
    judgeCapture(before, after, probe),
    ...(await captures(after)),
    judgeProtocol(before, after, spans),
    judgeSampling(before, after),
    judgeContext(spans, probe),
    ...judgeDelivery(before, after),
    ...judgeForwarding(after),
    ...judgeCollector(before.collector, after.collector),
    ...judgeBackends(before.collector, after.collector),
    ...(await judgeReaders(targets.readers, probe, spans, timeoutMs / 4)),
  ];
}

async function latestSpans(targets: Targets, service: string): Promise<readonly StoredSpan[]> {
  const store = targets.readers.find((reader) => reader.kind === 'store')!;
  const spans = await readTracesOf(new URL(store.url).host, service, maxTraces).catch((): StoredSpan[] => []);
  return spans.filter(({ startUs }) => startUs / 1_000 > Date.now() - recentMs);
}

async function observe(targets: Targets): Promise<Observed> {
  const [collector, ...sidecars] = await Promise.all([
    observeCollector(targets.collector),
    ...targets.sidecars.map(observeSidecar),
  ]);
  return { collector, sidecars };
}

/** Watches until the trace is readable and no hop holds spans any more, or the time is up. */
async function awaitDelivery(targets: Targets, before: Observed, probe: ProbeResult, timeoutMs: number) {
  const store = targets.readers.find((reader) => reader.kind === 'store')!;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const after = await observe(targets);
    const spans = await readTrace(new URL(store.url).host, probe.traceId).catch((): StoredSpan[] => []);
    const waiting = [...after.sidecars, after.collector].some(({ samples }) =>
      samples.some(
        (sample) =>
          (sample.name === 'tracecar_spans_queued' || sample.name === 'otelcol_exporter_queue_size') &&
          sample.value > 0,
      ),
    );
    const exported = after.sidecars.some(
      (now, i) => growth(before.sidecars[i]!, now, 'tracecar_spans_exported_total') > 0,
    );
    if ((spans.length > 0 && exported && !waiting) || Date.now() >= deadline) return { after, spans };
    await sleep(pollMs);
  }
}

function judgeReadiness(sidecar: SidecarObservation): Finding {
  const hop = `sidecar ${sidecar.service}`;
  if (sidecar.unreachable !== '') {
    const advice = 'start `tracecar sidecar`, or name its admin address with --sidecar HOST:PORT';
    return bad(hop, `its admin port ${sidecar.admin} cannot be read: ${sidecar.unreachable}`, advice);
  }
  if (!sidecar.ready) return bad(hop, 'it is not ready: it is draining', 'wait for its successor, or start it again');
  return good(hop, `ready on ${[sidecar.admin, ...sidecar.inbound, ...sidecar.outbound].join(', ')}`);
}

function judgeNoRequest({ sidecars }: Observed): Finding {
  const hop = 'request';
  if (sidecars.every(({ capture }) => capture === undefined)) {
    const advice = "name a sidecar's listener with --via URL";
    return bad(hop, 'no sidecar tells of a listener to send it through', advice);
  }
  const advice = 'run the doctor in another pod, with --sidecar POD:PORT (admin) and --via http://POD:PORT/';
  return open(hop, 'none was sent: rules capture what comes from other pods, not what is sent within this one', advice);
}

function judgeRequest(probe: ProbeResult, via: string, isTls: boolean): Finding {
  const hop = 'request';
  if (probe.failure === '') return good(hop, `GET ${via} was answered ${probe.status}, trace ${probe.traceId}`);
  if (probe.failure === 'ECONNREFUSED') {
    return bad(hop, `nobody listens on ${via}`, "name a sidecar's inbound or outbound listener with --via URL");
  }
  if (isTls) {
    const advice =
      'name the port on which it speaks plain HTTP, or let TLS end in front of the sidecar: what is encrypted cannot be read';
    return bad(
      hop,
      `GET ${via} got no answer (${probe.failure}): the application behind the sidecar speaks TLS there`,
      advice,
    );
  }
  if (probe.failure.startsWith('HPE_')) {
    const detail = `GET ${via} was answered by something that is no HTTP (${probe.failure})`;
    return bad(hop, detail, 'the target speaks another protocol there: name the port on which it speaks HTTP');
  }
  const advice = 'see whether the application runs, and on the port that stands behind = in --inbound';
  return bad(hop, `GET ${via} got no answer (${probe.failure}): the application behind the sidecar is down`, advice);
}

function judgeCapture(before: Observed, after: Observed, probe: ProbeResult): Finding {
  const hop = 'captured';
  const counts = after.sidecars.map((now, i) => growth(before.sidecars[i]!, now, 'tracecar_requests_total'));
  const seenBy = after.sidecars.filter((_, i) => counts[i]! > 0).map((sidecar) => sidecar.service);
  if (seenBy.length > 0) return good(hop, `the request was counted by ${seenBy.join(', ')}`);
  if (probe.failure !== '') return open(hop, 'there was no exchange to count');
  const isByRules = after.sidecars.some(({ capture }) => capture !== undefined);
  const advice = isByRules
    ? 'ask from another pod (what is sent within this one, or as user 1337, is not captured), and for a port that is not excluded'
    : '--via must name the listener of one of the sidecars asked with --sidecar';
  return bad(hop, 'the request was answered, but no sidecar counted it: it went past them', advice);
}

function judgeProtocol(before: Observed, after: Observed, spans: readonly StoredSpan[]): Finding {
  const hop = 'protocol';
  const reasons = after.sidecars.flatMap((now, i) =>
    grownLabels(before.sidecars[i]!, now, 'tracecar_connections_degraded_total', 'reason').map(
      (reason) => `${reason} at ${now.service}`,
    ),
  );
  const version = spans.find((span) => span.kind === 'SERVER')?.tags['network.protocol.version'];
  const seen = version === undefined ? '' : `HTTP/${version}, read to its end; `;
  if (reasons.length === 0) return good(hop, `${seen}no connection was degraded`);
  const advice = 'look at GET /connections of that sidecar; bytes pass unchanged, but such connections make no spans';
  return bad(hop, `connections were degraded meanwhile: ${reasons.join(', ')}`, advice);
}

function judgeSampling(before: Observed, after: Observed): Finding {
  const hop = 'sampled';
  const created = after.sidecars.some((now, i) => growth(before.sidecars[i]!, now, 'tracecar_spans_created_total') > 0);
  const reasons = new Set(
    after.sidecars.flatMap((now, i) =>
      grownLabels(before.sidecars[i]!, now, 'tracecar_sampling_decisions_total', 'reason'),
    ),
  );
  const because = [...reasons].join(', ') || 'unknown';
  if (created) return good(hop, `yes, because of: ${because}`);
  const capped = after.sidecars.find((sidecar) => sidecar.sampling.overall < 100);
  if (capped !== undefined) {
    const detail = `no: ${capped.service} caps all sampling at ${capped.sampling.overall} % (decided by ${because})`;
    return bad(hop, detail, 'raise --sampling-overall, or run the doctor again until its trace is kept');
  }
  if (reasons.size === 0) return open(hop, 'no decision was made');
  return bad(hop, `no span was made (decided by ${because})`, 'ask for a path that is neither telemetry nor a probe');
}

function judgeContext(spans: readonly StoredSpan[], probe: ProbeResult): Finding {
  const hop = 'context';
  if (spans.length === 0) return open(hop, 'no span of the request can be read, so nothing is known');
  const first = spans.find((span) => span.parentId === probe.spanId);
  if (first === undefined) {
    const advice = 'see which hop in front of the sidecar replaces traceparent, or whether --via passes one at all';
    return bad(hop, 'no span hangs from the request: its context did not come in', advice);
  }
  const ids = new Set(spans.map((span) => span.spanId));
  const calls = spans.filter((span) => span.kind === 'CLIENT');
  const joined = spans.filter((span) => span.kind === 'SERVER' && ids.has(span.parentId));
  const out =
    calls.length === 0 ? 'no call went out' : `${calls.length} calls went out with it, ${joined.length} arrived`;
  return good(hop, `it came in (${first.service} continues the trace), ${out}`);
}

function judgeDelivery(before: Observed, after: Observed): Finding[] {
  return after.sidecars.flatMap((now, i): Finding[] => {
    if (now.unreachable !== '') return [];
    const hop = `spans of ${now.service}`;
    const grown = (name: string) => growth(before.sidecars[i]!, now, name);
    const created = grown('tracecar_spans_created_total');
    if (created === 0) return [open(hop, 'none were made meanwhile')];
    const queued = now.samples.find((sample) => sample.name === 'tracecar_spans_queued')?.value ?? 0;
    const why = now.lastFailure === '' ? '' : `, last failure: ${now.lastFailure}`;
    const dropped = grownLabels(before.sidecars[i]!, now, 'tracecar_spans_dropped_total', 'reason');
    const advice = `see that the collector runs and listens on ${now.otlpEndpoint}, or set --otlp-endpoint`;
    if (dropped.length > 0) return [bad(hop, `some were dropped (${dropped.join(', ')})${why}`, advice)];
    const exported = grown('tracecar_spans_exported_total');
    if (exported === 0 || (queued > 0 && why !== '')) {
      return [bad(hop, `${created} made, ${queued} wait in the queue and are not taken${why}`, advice)];
    }
    return [good(hop, `${created} made, ${exported} acknowledged by ${now.otlpEndpoint}`)];
  });
}

function judgeForwarding(after: Observed): Finding[] {
  return after.sidecars.flatMap((sidecar): Finding[] => {
    const report = sidecar.forwarding;
    if (report === undefined || sidecar.outbound.length === 0) return [];
    const hop = `application ${sidecar.service}`;
    const families = Object.entries(report.headers);
    const missing = families.filter(([, count]) => count < report.forwarded).map(([name]) => name);
    if (report.verdict === 'unknown') return [open(hop, 'it has made no calls while serving, so nothing is known')];
    const names = families.map(([name]) => name).join(', ');
    if (report.verdict === 'yes') return [good(hop, `it passes the trace headers on (${names})`)];
    const detail =
      report.forwarded === 0
        ? `it passes no trace headers on (${report.calls} calls seen)`
        : `it passes trace headers on with ${report.forwarded} of ${report.calls} calls${missing.length > 0 ? `, and ${missing.join(', ')} not always` : ''}`;
    const advice = `copy ${missing.length > 0 ? missing.join(', ') : names} from the request it serves to the calls it makes`;
    return [bad(hop, detail, advice)];
  });
}
