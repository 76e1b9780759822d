// Where the time axis has its ticks: round numbers, three to eight of them.

/** Ticks from 0, each `{ atUs, share }`, `share` being its place from 0 to 1. */
export function ticks(durationUs) {
  if (durationUs <= 0) return [{ atUs: 0, share: 0 }];
  const step = roundStep(durationUs / 7);
  const result = [];
  for (let index = 0; index * step <= durationUs * 1.0001; index++) {
    result.push({ atUs: index * step, share: Math.min(1, (index * step) / durationUs) });
  }
  return result;
}

/** The round step (1, 2, 2.5, 5 times a power of ten; 1, 2, 5, 10, 15, 30 of minutes and hours) next to `us`. */
function roundStep(us) {
  const minute = 60e6;
  if (us > minute / 2) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1440].map((minutes) => minutes * minute);
    return steps.find((step) => step >= us) ?? Math.ceil(us / (1440 * minute)) * 1440 * minute;
  }
  const power = 10 ** Math.floor(Math.log10(us));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= us) * power;
  return Math.max(1, Math.round(step * 10) / 10);
}
