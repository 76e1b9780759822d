// Says in the log what is captured at the start, and what has become of it whenever somebody asks whether we are ready.
import type { Log } from '../../runtime/log.ts';
import { type CaptureStatus, reportLines } from './capture-status.ts';

const ownAdvice =
  'the rules lead the connections of the sidecar back to it, and they are reset: run it as the user or group that the ' +
  "rules leave alone (1337), and with --iptables istio where the rules are Istio's";
const quietMs = 60_000;

/**
 * Logs the state now, and returns a report, as lines, that logs it again whenever it has changed.
 * @param isSpokesman false for a worker whose sibling says it
 */
export function watchCapture(status: CaptureStatus, log: Log, isSpokesman: boolean): () => Promise<readonly string[]> {
  let told = '';
  const tell = (lines: readonly string[]) => {
    const text = lines.join('; ');
    if (!isSpokesman || text === told) return;
    told = text;
    const { not_captured } = status.last;
    if (not_captured.length === 0) log.info(text);
    // What works in one family only is easily taken for the whole.
    else log.warn({ not_captured }, `${text}; apply the rules: ${status.remedy}`);
  };
  const report = async () => {
    const lines = reportLines(await status.report());
    tell(lines);
    return lines;
  };
  let quietUntilMs = 0;
  status.onOwnCaptured = () => {
    if (performance.now() < quietUntilMs) return;
    quietUntilMs = performance.now() + quietMs;
    // Of any worker: it may be the only one that sees it.
    log.warn(ownAdvice);
  };
  void status.refresh().then(report);
  return report;
}
