// How much memory V8 may take for what is garbage a moment later, which in a proxy is nearly everything.

/**
 * V8's own 16 MB only stay resident. Measured, 2 MB cost some 0.1 us a request, save some 15 MB, and keep the pauses short
 * when connections come and go, for those survive: a neighbour's p99 then halves against 16 MB. A flag of node, for
 * the worker; the build makes a code cache for just these flags.
 */
export const youngGenerationFlag = '--max-semi-space-size=2';

/** The flag, unless whoever started us has set the size: by NODE_OPTIONS, or as an argument of node. */
export function youngGeneration(): readonly string[] {
  const isSet = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((text) => text.includes('semi-space'));
  return isSet ? [] : [youngGenerationFlag];
}
