// Sends the load: wrk where it is installed, else our own client; both report the same five numbers.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { awaitLine, findProgram, start, startProgram, stop } from './children.ts';
import { encodeRequest, type Scenario } from './scenario.ts';

export interface LoadResult {
  readonly requests: number;
  readonly durationUs: number;
  /** Answers that were not 200, connections that failed, and time-outs. */
  readonly errors: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

export interface Generator {
  readonly name: string;
  run(port: number, seconds: number): Promise<LoadResult>;
}

/** A generator for `scenario`; its script goes into `folder`. */
export function createGenerator(scenario: Scenario, folder: string): Generator {
  const wrk = findProgram('wrk');
  if (wrk === undefined) {
    return {
      name: 'own client (wrk is not installed)',
      run: async (port, seconds) => {
        const child = startProgram(
          'client',
          'load',
          'programs/client.js',
          scenario.name,
          String(port),
          String(seconds),
        );
        return await awaitLine(child, 'stdout', readResult);
      },
    };
  }
  const script = path.join(folder, `${scenario.name}.lua`);
  writeFileSync(script, wrkScript(scenario));
  return {
    name: 'wrk',
    run: async (port, seconds) => {
      const url = `http://127.0.0.1:${port}${scenario.path}`;
      const flags = ['-t1', `-c${scenario.connections}`, `-d${seconds}s`, '-s', script];
      const child = start('wrk', 'load', [wrk, ...flags, url]);
      const result = await awaitLine(child, 'stdout', readResult);
      await stop(child);
      return result;
    },
  };
}

/** wrk's script: the prepared requests in turn, and the figures as one line of JSON at the end. */
function wrkScript(scenario: Scenario): string {
  // ASCII without control characters besides CR and LF: a JSON string is a Lua string.
  const requests = Array.from({ length: scenario.variants }, () =>
    JSON.stringify(encodeRequest(scenario, '127.0.0.1')),
  );
  return `local requests = {
${requests.join(',\n')}
}
local at = 0
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"durationUs":%d,"errors":%d,"p50Us":%d,"p99Us":%d}\\n', summary.requests,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
`;
}

function readResult(line: string): LoadResult | undefined {
  return line.startsWith('{') ? (JSON.parse(line) as LoadResult) : undefined;
}
