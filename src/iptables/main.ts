// The door of the capture rules: what the command line, and whoever starts a workload, may ask for.
import { type ApplyReport, applyRules } from './apply.ts';
import { type CleanReport, cleanRules } from './clean.ts';
import { defaultFlags, type IptablesConfig, type IptablesFlags, parseIptablesConfig, type RuleKind } from './config.ts';
import { familiesHere } from './plan.ts';
import { printRules } from './print.ts';
import { createSystem } from './system.ts';
import { inboundProbePort, outboundProbePort } from './tracecar-rules.ts';

export {
  type ApplyReport,
  type CleanReport,
  defaultFlags,
  type IptablesConfig,
  type IptablesFlags,
  inboundProbePort,
  outboundProbePort,
  parseIptablesConfig,
  type RuleKind,
};

/**
 * Sets the rules in this network namespace, or behind a command that enters another, e.g. `ip netns exec NAME`. Doing it
 * again changes nothing; with other flags the rules are replaced.
 * @throws Error with one line on what is missing or in the way; the rules are then as they were
 */
export function apply(config: IptablesConfig, enter: readonly string[] = []): ApplyReport {
  return applyRules(config, createSystem(enter));
}

/**
 * Removes what `apply` sets, also what is left of a run that was interrupted.
 * @throws Error with one line on what is in the way
 */
export function clean(kind: RuleKind, enter: readonly string[] = []): CleanReport {
  return cleanRules(kind, createSystem(enter));
}

/** What `apply` would do here, as a shell script. Reads the namespace's addresses, needs no privilege. */
export function print(config: IptablesConfig, enter: readonly string[] = []): string {
  return printRules(config, familiesHere(config, createSystem(enter)));
}
