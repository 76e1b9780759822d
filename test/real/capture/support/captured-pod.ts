// A pod whose traffic is captured: rules by `tracecar iptables`, a sidecar as its own user, its numbers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { type MetricSample, parseMetrics, sumOf } from '../../../../src/cli/demo/metrics-text.ts';
import { eventually } from '../../../support/eventually.ts';
import { type Finished, type Program, programArguments, runProgram, startProgram } from '../../../support/programs.ts';
import type { Network, Pod } from './network.ts';

export interface CaptureOptions {
  readonly mode?: 'redirect' | 'tproxy';
  readonly chains?: 'tracecar' | 'istio';
  /** More arguments of `tracecar iptables apply`. */
  readonly rules?: readonly string[];
  /** More arguments of `tracecar sidecar`. */
  readonly args?: readonly string[];
  /** The sidecar runs as a user whose connections the rules capture as well. */
  readonly asStranger?: boolean;
}

export interface CapturedPod {
  readonly pod: Pod;
  readonly sidecar: Program;
  metrics(): Promise<MetricSample[]>;
  /** The sum of a metric's samples with these labels. */
  count(metric: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

/** Root in the group that the rules let pass as well: so Istio runs its own proxy with TPROXY. */
const asGroup = ['setpriv', '--regid', '1337', '--clear-groups'];
const user = spawnSync('setpriv', ['--reuid', '1337', '--clear-groups', 'test', '-r', programArguments.at(-1)!]);
/** The sidecar's user, where that may read this checkout. */
const asUser = user.status === 0 ? [...asGroup, '--reuid', '1337'] : asGroup;
/** What `--capture tproxy` needs beside. */
const withNetAdmin = ['--inh-caps', '+net_admin', '--ambient-caps', '+net_admin'];

function become({ mode, chains, asStranger }: CaptureOptions): readonly string[] {
  if (asStranger === true) return [];
  if (mode !== 'tproxy') return asUser;
  // Istio's rules send what user 1337 sends to its own pod back to it; with TPROXY only root gets past them.
  return chains === 'istio' ? asGroup : [...asUser, ...withNetAdmin];
}

/** Runs `tracecar iptables` in a pod, as its init container does. */
export async function iptables(pod: Pod, ...args: readonly string[]): Promise<Finished> {
  return await runProgram(['iptables', ...args], { prefix: pod.namespace.enter });
}

/** Applies the rules that fit `options`. */
export async function applyRules(pod: Pod, { mode, chains, rules = [] }: CaptureOptions = {}): Promise<void> {
  const modeFlags = mode === 'tproxy' ? ['-m', 'TPROXY'] : [];
  const { code, stderr } = await iptables(pod, 'apply', ...chainFlags(chains), ...modeFlags, ...rules);
  assert.equal(code, 0, stderr);
}

function chainFlags(chains: CaptureOptions['chains']): string[] {
  return chains === undefined ? [] : ['--iptables', chains];
}

/** Starts the sidecar of a pod; it ends with the test. */
export async function startPodSidecar(
  t: TestContext,
  network: Network,
  pod: Pod,
  options: CaptureOptions = {},
): Promise<Program> {
  const { mode = 'redirect', chains, args = [] } = options;
  return await startProgram(
    t,
    [
      ...['sidecar', '--capture', mode, ...chainFlags(chains), '--service', pod.name],
      ...['--otlp-endpoint', network.collectorUrl, '--otlp-protocol', 'http/protobuf', '--drain-quiet', '0'],
      ...args,
    ],
    { OTEL_BSP_SCHEDULE_DELAY: '50' },
    [...pod.namespace.enter, ...become(options)],
  );
}

/** Rules first, then the sidecar: as in a pod. */
export async function capture(
  t: TestContext,
  network: Network,
  pod: Pod,
  options: CaptureOptions = {},
): Promise<CapturedPod> {
  await applyRules(pod, options);
  return watched(pod, await startPodSidecar(t, network, pod, options));
}

/** A sidecar and its numbers, which are asked for inside the pod. */
export function watched(pod: Pod, sidecar: Program): CapturedPod {
  const metrics = async () => {
    const { status, body } = {
      body: '',
      ...(await pod.ask('get', { url: 'http://127.0.0.1:15000/stats/prometheus' })),
    };
    assert.equal(status, 200);
    return parseMetrics(body);
  };
  return {
    pod,
    sidecar,
    metrics,
    count: async (metric, labels = {}) => sumOf(await metrics(), metric, labels),
  };
}

/** Waits until a metric has a value, and fails with the one it has. */
export async function settles(
  captured: CapturedPod,
  metric: string,
  labels: Readonly<Record<string, string>>,
  value: number,
): Promise<void> {
  let last = Number.NaN;
  await eventually(
    () => `${metric} ${JSON.stringify(labels)} is ${value}; it is ${last}`,
    async () => {
      last = await captured.count(metric, labels);
      return last === value;
    },
  );
}
