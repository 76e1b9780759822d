// npm audit of what is shipped: fails on findings, and says so and passes where the registry has no such service.
import { spawnSync } from 'node:child_process';

const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8', maxBuffer: 1 << 26 });
const totals = readTotals(stdout);
if (totals === undefined) {
  const reason = error?.message ?? readError(stdout) ?? 'no answer';
  process.stdout.write(`audit: skipped, this registry does not audit (${reason})\n`);
} else {
  const { total, ...bySeverity } = totals;
  const found = Object.entries(bySeverity).filter(([, count]) => count > 0);
  const list = found.map(([severity, count]) => `${count} ${severity}`).join(', ');
  process.stdout.write(`audit: ${total} vulnerabilities in what is shipped${list === '' ? '' : `: ${list}`}\n`);
  process.exitCode = total > 0 ? 1 : 0;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readTotals(text) {
  const totals = parse(text)?.metadata?.vulnerabilities;
  return typeof totals?.total === 'number' ? totals : undefined;
}

function readError(text) {
  const answer = parse(text);
  const message = answer?.error?.summary || answer?.message || answer?.error?.code;
  // The address of the registry says nothing to a reader.
  return typeof message === 'string' ? message.split('\n')[0].replaceAll(/https?:\/\/\S+/g, 'the registry') : undefined;
}
