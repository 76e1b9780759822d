// Says in the log what is captured at the start, and what has become of it whenever somebody asks whether we are ready.
import type { Log } from '../../runtime/log.ts';
import { type CaptureStatus, reportLines } from './capture-status.ts';

const advice = 'apply the rules: tracecar iptables apply';

/**
 * Logs the state now, and returns a report, as lines, that logs it again whenever it has changed.
 * @param log undefined for a worker whose sibling says it
 */
export function watchCapture(status: CaptureStatus, log: Log | undefined): () => Promise<readonly string[]> {
  let told = '';
  const tell = (lines: readonly string[]) => {
    const text = lines.join('; ');
    if (log === undefined || text === told) return;
    told = text;
    const { not_captured } = status.last;
    if (not_captured.length === 0) log.info(text);
    // What works in one family only is easily taken for the whole.
    else log.warn({ not_captured }, `${text}; ${advice}`);
  };
  const report = async () => {
    const lines = reportLines(await status.report());
    tell(lines);
    return lines;
  };
  void status.refresh().then(report);
  return report;
}
