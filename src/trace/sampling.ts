// The sampling decision: client, random and overall, in the order of R16, each outcome with its reason.

/** Percentages 0..100, as Envoy's HttpConnectionManager.tracing. */
export interface SamplingPolicy {
  readonly clientPercent: number;
  readonly randomPercent: number;
  readonly overallPercent: number;
}

/** Why a request is or is not recorded. */
export const samplingReasons = ['excluded', 'service_forced', 'client_forced', 'parent', 'random', 'overall'] as const;
export type SamplingReason = (typeof samplingReasons)[number];

export interface SamplingInput {
  /** A telemetry, probe or otherwise excluded request (R21). */
  readonly excluded: boolean;
  /** The peer is inside the trust boundary: only then may it force a trace. */
  readonly internal: boolean;
  /** `x-envoy-force-trace` or `jaeger-debug-id` is there. */
  readonly forceRequested: boolean;
  /** `x-client-trace-id` is there. */
  readonly clientRequested: boolean;
  readonly parentSampled: boolean | undefined;
  /** The trace's randomness in [0, 1) (R18); recorded when R >= 1 - rate. */
  readonly randomness: number;
}

export interface SamplingDecision {
  readonly sampled: boolean;
  /** The step that decided; `overall` when the cap took the trace out again. */
  readonly reason: SamplingReason;
}

const outcome = (sampled: boolean, reason: SamplingReason): SamplingDecision => Object.freeze({ sampled, reason });
const excluded = outcome(false, 'excluded');
const serviceForced = outcome(true, 'service_forced');
const clientForced = outcome(true, 'client_forced');
const parentSampled = outcome(true, 'parent');
const parentNotSampled = outcome(false, 'parent');
const randomHit = outcome(true, 'random');
const randomMiss = outcome(false, 'random');
const cappedByOverall = outcome(false, 'overall');

/** Whether R is in the kept share; both ends are exact: 0 keeps nothing, 100 everything. */
export function isKept(randomness: number, percent: number): boolean {
  return randomness >= 1 - percent / 100;
}

/**
 * Decides one request. The steps are R16's; the trust boundary (1) is `internal`, and the packed x-request-id (5) and
 * per-rule rates (6) join `chooseBeforeCap` where they stand in that order.
 * @param dice a fresh number in [0, 1) for client sampling, which alone rolls dice as Envoy's does
 */
export function decideSampling(policy: SamplingPolicy, input: SamplingInput, dice = Math.random): SamplingDecision {
  const chosen = chooseBeforeCap(policy, input, dice);
  if (!chosen.sampled) return chosen;
  return isKept(input.randomness, policy.overallPercent) ? chosen : cappedByOverall;
}

function chooseBeforeCap(policy: SamplingPolicy, input: SamplingInput, dice: () => number): SamplingDecision {
  if (input.excluded) return excluded;
  if (input.forceRequested && input.internal) return serviceForced;
  if (input.clientRequested && dice() * 100 < policy.clientPercent) return clientForced;
  if (input.parentSampled !== undefined) return input.parentSampled ? parentSampled : parentNotSampled;
  return isKept(input.randomness, policy.randomPercent) ? randomHit : randomMiss;
}
